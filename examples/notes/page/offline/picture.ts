/* Pictures, made as small as a note needs them. */

/** The longer side, in pixels. */
const longest = 1600

/** @throws {Error} for what the browser cannot show as a picture. */
export async function smallPicture(file: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(file)
  const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height))
  const canvas = document.createElement('canvas')
  canvas.width = Math.max(1, Math.round(bitmap.width * scale))
  canvas.height = Math.max(1, Math.round(bitmap.height * scale))
  const context = canvas.getContext('2d')
  if (!context) throw new Error('no canvas')
  // JPEG knows no transparency: it would be black.
  context.fillStyle = '#fff'
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height)
  bitmap.close()
  return new Promise((resolve, reject) => {
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error('no picture'))),
      'image/jpeg',
      0.85,
    )
  })
}

/** Shows bytes in an `img`, and lets go of those that it showed before. */
export function showBlob(image: HTMLImageElement, blob: Blob | undefined) {
  if (image.src.startsWith('blob:')) URL.revokeObjectURL(image.src)
  image.hidden = !blob
  if (blob) image.src = URL.createObjectURL(blob)
  else image.removeAttribute('src')
}

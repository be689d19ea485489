/*
 * Reads a QR code (ISO/IEC 18004) as a phone does once it has found the modules: of error correction level M, up to version
 * 20, without a fault in it. Whatever is not as the standard has it throws.
 */

/** @param modules Rows of the symbol without its quiet zone; `true` is dark. */
export function readQr(modules: readonly (readonly boolean[])[]): string {
  const size = modules.length
  const version = (size - 17) / 4
  if (!Number.isInteger(version) || version < 1 || version > 20) throw new Error(`size ${size}`)
  const dark = (x: number, y: number): number => (modules[y]?.[x] ? 1 : 0)
  const mask = maskOf(size, dark)
  const reserved = reservedOf(size, version)
  for (const [x, y] of finders(size)) checkFinder(dark, x, y)

  const bits: number[] = []
  let up = true
  for (let right = size - 1; right > 0; right -= 2) {
    // The timing pattern's column carries no data.
    if (right === 6) right--
    for (let i = 0; i < size; i++)
      for (const x of [right, right - 1]) {
        const y = up ? size - 1 - i : i
        if (!reserved(x, y)) bits.push(dark(x, y) ^ (masks[mask]?.(x, y) ? 1 : 0))
      }
    up = !up
  }
  return textOf(dataOf(bytesOf(bits), version), version)
}

const masks: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
]

const finders = (size: number) =>
  [
    [3, 3],
    [size - 4, 3],
    [3, size - 4],
  ] as const

function checkFinder(dark: (x: number, y: number) => number, cx: number, cy: number) {
  for (let y = -3; y <= 3; y++)
    for (let x = -3; x <= 3; x++) {
      const ring = Math.max(Math.abs(x), Math.abs(y))
      if (dark(cx + x, cy + y) !== (ring === 2 ? 0 : 1)) throw new Error('finder pattern')
    }
}

/** Both copies of the format say level M and the same mask, by their BCH code too. */
function maskOf(size: number, dark: (x: number, y: number) => number): number {
  const first: number[] = []
  const second: number[] = []
  for (let i = 0; i < 15; i++) {
    if (i < 6) first.push(dark(8, i))
    else if (i < 8) first.push(dark(8, i + 1))
    else if (i === 8) first.push(dark(7, 8))
    else first.push(dark(14 - i, 8))
    second.push(i < 8 ? dark(size - 1 - i, 8) : dark(8, size - 15 + i))
  }
  if (first.join() !== second.join()) throw new Error('the two formats differ')
  const format = first.reduce((sum, bit, i) => sum | (bit << i), 0) ^ 0x5412
  let rest = format >> 10
  for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >> 9) * 0x537)
  if (rest !== (format & 0x3ff)) throw new Error('format')
  if (format >> 13 !== 0) throw new Error('not of level M')
  return (format >> 10) & 7
}

/** Where no data is. */
function reservedOf(size: number, version: number): (x: number, y: number) => boolean {
  const count = version === 1 ? 0 : Math.floor(version / 7) + 2
  const step = Math.ceil((version * 4 + 4) / (count * 2 - 2)) * 2
  const centres = Array.from({ length: count }, (_, i) =>
    i === 0 ? 6 : size - 7 - (count - 1 - i) * step,
  )
  const corner = (x: number, y: number) =>
    (x === 6 && (y === 6 || y === size - 7)) || (y === 6 && x === size - 7)
  return (x, y) =>
    x === 6 ||
    y === 6 ||
    (x <= 8 && (y <= 8 || y >= size - 8)) ||
    (x >= size - 8 && y <= 8) ||
    (version >= 7 && ((x < 6 && y >= size - 11) || (y < 6 && x >= size - 11))) ||
    centres.some((cx) =>
      centres.some((cy) => !corner(cx, cy) && Math.abs(x - cx) <= 2 && Math.abs(y - cy) <= 2),
    )
}

const bytesOf = (bits: readonly number[]): number[] =>
  Array.from({ length: Math.floor(bits.length / 8) }, (_, i) =>
    bits.slice(i * 8, i * 8 + 8).reduce((byte, bit) => (byte << 1) | bit, 0),
  )

/** Of level M, by version: codewords of error correction a block, and blocks (table 9). */
const corrections = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26]
const blockCounts = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16]

function dataOf(codewords: readonly number[], version: number): number[] {
  const correction = corrections[version - 1] as number
  const count = blockCounts[version - 1] as number
  const length = Math.floor(codewords.length / count)
  const short = count - (codewords.length % count)
  const blocks = Array.from({ length: count }, (): number[] => [])
  let at = 0
  // Interleaved: the first codeword of each block, then the second; short blocks lack the last one of data.
  for (let i = 0; i <= length - correction; i++)
    for (let b = 0; b < count; b++)
      if (i < length - correction || b >= short) blocks[b]?.push(codewords[at++] as number)
  const data = blocks.flatMap((block) => [...block])
  for (let i = 0; i < correction; i++)
    for (let b = 0; b < count; b++) blocks[b]?.push(codewords[at++] as number)
  for (const block of blocks) checkBlock(block, correction)
  return data
}

/** Without a fault, every syndrome of the Reed-Solomon code is 0. */
function checkBlock(block: readonly number[], correction: number) {
  let root = 1
  for (let i = 0; i < correction; i++) {
    const syndrome = block.reduce((sum, byte) => multiply(sum, root) ^ byte, 0)
    if (syndrome !== 0) throw new Error('error correction')
    root = multiply(root, 2)
  }
}

/** In GF(2^8) modulo 0x11d. */
function multiply(a: number, b: number): number {
  let product = 0
  for (let i = 7; i >= 0; i--) {
    product = (product << 1) ^ ((product >> 7) * 0x11d)
    if ((b >> i) & 1) product ^= a
  }
  return product
}

const alphanumeric = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:'

function textOf(data: readonly number[], version: number): string {
  const bits = data.flatMap((byte) => Array.from({ length: 8 }, (_, i) => (byte >> (7 - i)) & 1))
  let at = 0
  const take = (count: number): number => {
    let value = 0
    for (let i = 0; i < count; i++) value = value * 2 + (bits[at++] ?? 0)
    return value
  }
  let text = ''
  while (at + 4 <= bits.length) {
    const mode = take(4)
    if (mode === 0) break
    if (mode === 4) {
      const bytes = Array.from({ length: take(version < 10 ? 8 : 16) }, () => take(8))
      text += new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes))
    } else if (mode === 2) {
      let left = take(version < 10 ? 9 : 11)
      for (; left >= 2; left -= 2) {
        const pair = take(11)
        text += `${alphanumeric[Math.floor(pair / 45)]}${alphanumeric[pair % 45]}`
      }
      if (left === 1) text += alphanumeric[take(6)]
    } else throw new Error(`mode ${mode}`)
  }
  return text
}

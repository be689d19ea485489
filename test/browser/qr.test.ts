import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newSecret, qrCode, totpUri } from '../../src/auth/mfa/totp.ts'
import { readQr } from '../kit/qr.ts'
import { chromiumFlags, chromiumPath } from '../kit/running.ts'

let browser: Browser
let page: Page
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: chromiumPath(), args: chromiumFlags })
  page = await browser.newPage()
})
afterAll(() => browser?.close())

const pixels = 5

/** The SVG as a browser draws it from the client's `data:` URL, the middle of each module. */
const drawn = (svg: string): Promise<boolean[][]> =>
  page.evaluate(
    async ({ url, pixels }) => {
      const image = new Image()
      image.src = url
      await image.decode()
      const modules = Number(url.match(/viewBox="0 0 (\d+) /)?.[1])
      const canvas = document.createElement('canvas')
      canvas.width = canvas.height = modules * pixels
      const context = canvas.getContext('2d')
      if (!context) throw new Error('no canvas')
      context.fillStyle = 'red'
      context.fillRect(0, 0, canvas.width, canvas.height)
      context.drawImage(image, 0, 0, canvas.width, canvas.height)
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height)
      return Array.from({ length: modules }, (_, y) =>
        Array.from({ length: modules }, (_, x) => {
          const middle = Math.floor(pixels / 2)
          const at = ((y * pixels + middle) * canvas.width + x * pixels + middle) * 4
          const colour = [...data.slice(at, at + 4)].join()
          if (colour !== '0,0,0,255' && colour !== '255,255,255,255') throw new Error(colour)
          return colour === '0,0,0,255'
        }),
      )
    },
    // As auth-js makes it of `qr_code`.
    { url: `data:image/svg+xml;utf-8,${svg}`, pixels },
  )

/** Without the quiet zone, which must be there (ISO/IEC 18004: four modules). */
function within(modules: boolean[][]): boolean[][] {
  const size = modules.length
  const edge = (i: number) => i < 4 || i >= size - 4
  modules.forEach((row, y) => {
    row.forEach((dark, x) => {
      if (edge(x) || edge(y)) expect(dark, `quiet zone at ${x}, ${y}`).toBe(false)
    })
  })
  return modules.slice(4, -4).map((row) => row.slice(4, -4))
}

describe('the QR code of an enrolment, as a browser draws it', () => {
  it.each([
    ['short', 'a.b', 'a@b.cc'],
    ['usual', 'notes.example', 'ann@example.com'],
    ['spaces, ampersands, percent signs', 'Ann & Söhne 100% #1', 'ann+tag@example.com'],
    ['not ASCII', '東京ノート', 'ännchen@exämple.com'],
    ['long', 'n'.repeat(100), `${'a'.repeat(64)}@${'b'.repeat(60)}.example.com`],
  ])('is what an authenticator app should read: %s', async (_, issuer, account) => {
    const uri = totpUri(newSecret(), { issuer, account })
    const read = readQr(within(await drawn(qrCode(uri))))
    expect(read).toBe(uri)
    const { protocol, searchParams } = new URL(read)
    expect([protocol, searchParams.get('issuer')]).toEqual(['otpauth:', issuer])
  })

  it('is read by a reader that would see a fault in it', async () => {
    const modules = within(await drawn(qrCode('otpauth://totp/x?secret=AAAA')))
    for (const [x, y] of [
      [12, 12],
      [8, 0],
      [0, 0],
    ] as const) {
      const bad = modules.map((row) => [...row])
      ;(bad[y] as boolean[])[x] = !bad[y]?.[x]
      expect(() => readQr(bad)).toThrow()
    }
  })
})

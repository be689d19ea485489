import { describe, expect, it } from 'vitest'
import { closedTarget, closedUrl, isPublicAddress } from '../../src/core/address.ts'

const never = () => Promise.reject(new Error('not to be asked'))

describe('case 61: an address that someone else chose', () => {
  it.each([
    'https://127.0.0.1/',
    'https://127.1/',
    'https://127.255.255.254/',
    // Decimal, octal, hexadecimal, and mixed.
    'https://2130706433/',
    'https://0177.0.0.1/',
    'https://0x7f000001/',
    'https://0x7f.1/',
    'https://017700000001/',
    'https://10.0.0.1/',
    'https://172.16.0.1/',
    'https://172.31.255.255/',
    'https://192.168.1.1/',
    'https://169.254.169.254/latest/meta-data/',
    'https://0xa9fea9fe/',
    'https://2852039166/',
    'https://0251.0376.0251.0376/',
    'https://100.64.0.1/',
    'https://0.0.0.0/',
    'https://0/',
    'https://192.0.0.192/',
    'https://198.18.0.1/',
    'https://203.0.113.1/',
    'https://224.0.0.1/',
    'https://255.255.255.255/',
    // Full-width digits and dots, and a dot at the end.
    'https://１２７.０.０.１/',
    'https://127。0。0。1/',
    'https://127.0.0.1./',
    // IPv6: loopback, unspecified, mapped, compatible, translated, local, link, multicast, with IPv4 inside.
    'https://[::1]/',
    'https://[::]/',
    'https://[0:0:0:0:0:0:0:1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[::ffff:169.254.169.254]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[64:ff9b:1::1]/',
    'https://[fc00::1]/',
    'https://[fd00:ec2::254]/',
    'https://[fe80::1]/',
    'https://[fec0::1]/',
    'https://[ff02::1]/',
    'https://[2002:7f00:1::]/',
    'https://[2001::1]/',
    'https://[2001:db8::1]/',
    'https://[3fff::1]/',
    'https://[100::1]/',
  ])('%s is not public', async (url) => {
    expect(closedUrl(new URL(url))).toBe('is not a public address')
    expect(await closedTarget(new URL(url), never)).toBe('is not a public address')
  })

  it.each([
    'https://localhost/',
    'https://LOCALHOST/',
    'https://localhost./',
    'https://app.localhost/',
    'https://printer.local/',
    'https://metadata.google.internal/',
    'https://router.lan/',
    'https://nas.home.arpa/',
    'https://db/',
    'https://db./',
    'https://ⓛocalhost/',
  ])('%s is not a public name', (url) => {
    expect(closedUrl(new URL(url))).toBe('is not a public name')
  })

  it.each([
    'http://hooks.example/',
    'ftp://hooks.example/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'data:text/plain,x',
    'gopher://hooks.example/',
  ])('%s is of no safe scheme', (url) => {
    expect(closedUrl(new URL(url))).toBe('must begin with https://')
  })

  it.each([
    'https://user@hooks.example/',
    'https://user:pass@hooks.example/',
    'https://:pass@hooks.example/',
    'https://hooks.example%40@127.0.0.1/',
    'https://hooks.example@127.0.0.1/',
  ])('%s holds a user', (url) => {
    expect(closedUrl(new URL(url))).toBe('must not hold a user name or password')
  })

  it.each([
    'https://1.1.1.1/',
    'https://172.15.0.1/',
    'https://172.32.0.1/',
    'https://100.63.255.255/',
    'https://100.128.0.1/',
    'https://192.0.1.1/',
    'https://223.255.255.255/',
    'https://[2606:4700:4700::1111]/',
    'https://[2a00:1450::1]/',
    'https://[2001:4860:4860::8888]/',
  ])('%s is public, and no name to be asked for', async (url) => {
    expect(closedUrl(new URL(url))).toBeUndefined()
    expect(await closedTarget(new URL(url), never)).toBeUndefined()
  })

  it('may be a name: all of its addresses must be public', async () => {
    const url = new URL('https://hooks.example/path')
    expect(closedUrl(url)).toBeUndefined()
    const at = (...addresses: string[]) => closedTarget(url, async () => addresses)
    expect(await at('1.1.1.1', '2606:4700::1')).toBeUndefined()
    for (const address of ['127.0.0.1', '10.1.2.3', '::1', '::ffff:10.0.0.1', 'fd00::1', '', 'x'])
      expect(await at('1.1.1.1', address)).toBe('leads to an address that is not public')
    await expect(at()).rejects.toThrow('no address')
  })

  it('is read as DNS answers it, and as nothing else', () => {
    expect(isPublicAddress('1.1.1.1')).toBe(true)
    expect(isPublicAddress('2606:4700:0:0:0:0:0:1')).toBe(true)
    for (const odd of [
      '1.1.1.1/path',
      '1.1.1',
      '0x01.1.1.1',
      'hooks.example',
      '1.1.1.1:80',
      '[::1]',
    ])
      expect(isPublicAddress(odd)).toBe(false)
  })
})

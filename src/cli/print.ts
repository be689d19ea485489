import { styleText } from 'node:util'

export const out = (text: string) => process.stdout.write(text)
export const bold = (text: string) => styleText('bold', text, { stream: process.stdout })
export const dim = (text: string) => styleText('dim', text, { stream: process.stdout })

/** Text of others, such as of a dump or an answer, as a terminal may be sent it: nothing in it steers. */
export const safe = (text: string): string =>
  text.slice(0, 200).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '\u{fffd}')

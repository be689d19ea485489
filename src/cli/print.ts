import { styleText } from 'node:util'

export const out = (text: string) => process.stdout.write(text)
export const bold = (text: string) => styleText('bold', text, { stream: process.stdout })
export const dim = (text: string) => styleText('dim', text, { stream: process.stdout })

import { Fault } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import type { Breakers } from '../breaker.ts'
import { servicesFaults } from '../faults.ts'
import { encodeEntities } from './markup.ts'
import type { Known } from './memory.ts'
import type { Provider } from './provider.ts'
import {
  charactersOf,
  inSpace,
  marked,
  needsTranslation,
  runsOf,
  type Sentence,
  unmarked,
} from './sentence.ts'

/** A sentence that has to be bought, under the key that it will be kept by. */
export type Wanted = readonly [key: string, sentence: Sentence]

export interface Languages {
  source: string | undefined
  target: string
}

export interface Bought {
  known: Map<string, Known>
  /** What was sent and answered. */
  characters: number
  micros: number
  /** Who translated, in order. */
  providers: string[]
}

const failures = { failures: 3, seconds: 30 }

/** What a sentence costs at most: whole, and in pieces again if what is kept in it did not come back. */
export const mostOf = ({ plain, kept }: Sentence): number =>
  charactersOf(plain) * (kept.length > 0 ? 2 : 1)

/**
 * Has sentences translated by the first provider that can, and what it leaves by the next.
 *
 * @throws {Fault} if something is left in the end: what the first provider said, but for `bad_request`, unless that is
 * what all of them said. What was bought is in `bought` all the same.
 */
export async function buy(
  scope: Scope,
  providers: readonly Provider[],
  {
    wanted,
    languages,
    breakers,
  }: { wanted: readonly Wanted[]; languages: Languages; breakers: Breakers },
  bought: Bought,
): Promise<void> {
  let left = wanted
  const faults: Fault[] = []
  for (const provider of providers) {
    if (left.length === 0) return
    const name = `translate:${provider.name}`
    const closed = breakers.closedFor(scope, name)
    if (closed > 0) {
      const headers = { 'retry-after': String(closed) }
      faults.push(servicesFaults.service_unavailable({ headers }))
      continue
    }
    if (!provider.detects && !languages.source) continue
    const failed = await buyFrom(scope, provider, { wanted: left, languages }, bought)
    for (const fault of failed)
      console.error(`leanto: translate: ${provider.name}: ${fault.code}`, fault.cause ?? '')
    const [first] = failed.filter(({ status }) => status >= 500)
    if (first) breakers.failed(scope, name, failures)
    else breakers.worked(scope, name)
    faults.push(...failed)
    left = left.filter(([key]) => !bought.known.has(key))
  }
  if (left.length === 0) return
  throw (
    faults.find(({ status }) => status >= 500) ??
    faults[0] ??
    servicesFaults.service_unavailable({ headers: { 'retry-after': '30' } })
  )
}

/** @returns What failed. */
async function buyFrom(
  scope: Scope,
  provider: Provider,
  { wanted, languages }: { wanted: readonly Wanted[]; languages: Languages },
  bought: Bought,
): Promise<Fault[]> {
  const failed: Fault[] = []
  const ask = async (texts: readonly string[], html: boolean) => {
    const { answers, faults } = await askAll(scope, provider, { texts, html, languages })
    failed.push(...faults)
    return answers
  }
  const pay = (characters: number) => {
    bought.characters += characters
    bought.micros += characters * (provider.perMillion ?? 0)
    if (!bought.providers.includes(provider.name)) bought.providers.push(provider.name)
  }

  const whole = wanted.filter(([, { kept }]) => provider.html || kept.length === 0)
  const html = whole.some(([, { kept }]) => kept.length > 0)
  const answers = await ask(
    whole.map(([, sentence]) => (html ? marked(sentence) : sentence.plain)),
    html,
  )
  const broken: Wanted[] = wanted.filter(([, { kept }]) => !provider.html && kept.length > 0)
  for (const [i, [key, sentence]] of whole.entries()) {
    const answer = answers[i]
    if (!answer) continue
    pay(charactersOf(sentence.plain))
    const known = { ...answer, html: html ? answer.text : encodeEntities(answer.text) }
    if (unmarked(known.html, sentence, encodeEntities) === null) broken.push([key, sentence])
    else bought.known.set(key, knownOf(known))
  }

  // What lies between what is kept, each by itself: not as well said, but nothing can get lost.
  const runs = broken.map(([, sentence]) => runsOf(sentence))
  const flat = runs.flat().filter(needsTranslation)
  const said = await ask(
    flat.map((run) => run.trim()),
    false,
  )
  let at = 0
  for (const [i, [key]] of broken.entries()) {
    const made = (runs[i] ?? []).map((run) => {
      if (!needsTranslation(run)) return encodeEntities(run)
      const answer = said[at++]
      if (!answer) return null
      pay(charactersOf(run.trim()))
      return inSpace(encodeEntities(run), encodeEntities(answer.text))
    })
    if (made.includes(null)) continue
    const html = made.map((run, n) => (n === 0 ? run : `<img id="${n - 1}">${run}`)).join('')
    bought.known.set(key, knownOf({ html, ...said[0], text: '' }))
  }
  return failed
}

const knownOf = ({ html, source }: { html: string; source?: string; text: string }): Known => ({
  html,
  ...(source === undefined ? {} : { source }),
})

interface Answer {
  text: string
  source?: string
}

/** Batches, each of which may fail by itself. */
async function askAll(
  scope: Scope,
  provider: Provider,
  { texts, html, languages }: { texts: readonly string[]; html: boolean; languages: Languages },
): Promise<{ answers: (Answer | undefined)[]; faults: Fault[] }> {
  const answers: (Answer | undefined)[] = Array(texts.length).fill(undefined)
  const faults: Fault[] = []
  for (let from = 0; from < texts.length; from += provider.batch) {
    const some = texts.slice(from, from + provider.batch)
    try {
      const made = await provider.translate(scope, { texts: some, html, ...languages })
      if (made.texts.length !== some.length)
        throw new Error(`${provider.name} answered ${made.texts.length} texts for ${some.length}`)
      const source = made.source === undefined ? {} : { source: made.source }
      for (const [i, text] of made.texts.entries()) answers[from + i] = { text, ...source }
    } catch (cause) {
      faults.push(cause instanceof Fault ? cause : servicesFaults.upstream_failed({ cause }))
      // The next batch would meet the same.
      break
    }
  }
  return { answers, faults }
}

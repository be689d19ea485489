import { coreFaults } from '../../core/fault.ts'
import type { Scope } from '../../core/scope.ts'
import { type Caller, type Gate, settleUse, spendUse } from '../gate.ts'
import { type Metered, type Reservation, rateHeaders } from '../quota.ts'
import { type Bought, buy, type Languages, mostOf, type Wanted } from './buy.ts'
import { encodeEntities, keptPattern, type Reading, readHtml, readText } from './markup.ts'
import { type Known, keyOf, type Memory, recall, remember } from './memory.ts'
import type { Provider } from './provider.ts'
import {
  charactersOf,
  likeness,
  type Piece,
  type Sentence,
  sentencesOf,
  unmarked,
} from './sentence.ts'

/** Terms that always become the same. */
export interface Glossary {
  /** Without it, whatever the source is. */
  source?: string
  target: string
  terms: Readonly<Record<string, string>>
}

export interface Settings {
  metered: Metered
  providers: readonly Provider[]
  glossaries: readonly Glossary[]
  memory: Memory | null
  /** Of one call. */
  most: { characters: number; sentences: number }
}

export interface TranslateInput extends Languages {
  texts: readonly string[]
  format: 'text' | 'html'
}

export interface Translated {
  texts: string[]
  /** As it was given, or found. */
  source: string | null
  target: string
  /** Sentences that were known. */
  known: number
  /** Characters that had to be bought. */
  characters: number
  providers: string[]
}

/**
 * Translates texts, sentence by sentence; those that are known cost a request and nothing else. One trip, and one to
 * settle where what was bought is not what was reserved.
 *
 * @throws {Fault} `too_large` (413), `quota_exceeded`, `budget_exhausted`, and what the providers say.
 */
export async function translateTexts<Env>(
  gate: Gate<Env>,
  scope: Scope,
  { settings, caller, input }: { settings: Settings; caller: Caller; input: TranslateInput },
): Promise<{ translated: Translated; headers: Record<string, string> }> {
  const { texts, format, source, target } = input
  const { memory, metered, providers } = settings
  const characters = texts.reduce((sum, text) => sum + charactersOf(text), 0)
  if (characters > settings.most.characters)
    throw coreFaults.too_large({
      message: `A call may have ${settings.most.characters} characters at most`,
    })
  const pieces = piecesOf(settings, input)
  const keys = await keysOf(pieces, { languages: input, user: ownerOf(memory, caller) })
  if (keys.size > settings.most.sentences)
    throw coreFaults.too_large({
      message: `A call may have ${settings.most.sentences} sentences at most`,
    })
  const known = memory ? await recallAll(scope, keys) : new Map<string, Known>()
  const wanted: Wanted[] = [...keys].filter(([key]) => !known.has(key))
  const counts = { known: known.size, total: keys.size }

  const most = wanted.reduce((sum, [, sentence]) => sum + mostOf(sentence), 0)
  const dearest = Math.max(0, ...providers.map(({ perMillion = 0 }) => perMillion))
  const use = { units: most, micros: Math.ceil(most * dearest) }
  const reservation = await spendUse(gate, scope, { metered, caller, use })
  const bought: Bought = { known: new Map(), characters: 0, micros: 0, providers: [] }
  try {
    const { breakers } = gate
    await buy(scope, providers, { wanted, languages: { source, target }, breakers }, bought)
  } finally {
    finish(scope, { reservation, bought, memory })
  }
  for (const [key, one] of bought.known) known.set(key, one)
  const found = [...known.values()].find((one) => one.source !== undefined)?.source
  const byPlain = new Map([...keys].map(([key, sentence]) => [likeness(sentence), known.get(key)]))
  const out = format === 'html' ? encodeEntities : (text: string) => text
  return {
    translated: {
      texts: pieces.map((text) => text.map((piece) => written(piece, byPlain, out)).join('')),
      source: source ?? found ?? null,
      target,
      known: counts.known,
      characters: bought.characters,
      providers: bought.providers,
    },
    headers: rateHeaders(reservation),
  }
}

const ownerOf = (memory: Memory | null, { user }: Caller): string | null =>
  memory?.per === 'user' ? user : null

function piecesOf({ glossaries }: Settings, { texts, format, source, target }: TranslateInput) {
  const base = (language: string) => language.toLowerCase().split('-')[0]
  const terms = new Map(
    glossaries
      .filter((one) => one.source === undefined || (source && base(one.source) === base(source)))
      .filter((one) => base(one.target) === base(target))
      .flatMap((one) => Object.entries(one.terms)),
  )
  const reading: Reading = { pattern: keptPattern([...terms.keys()]), terms }
  const read = format === 'html' ? readHtml : readText
  return texts.map((text) => sentencesOf(read(text, reading), source ?? 'und'))
}

/** The sentences, each once. */
async function keysOf(
  pieces: readonly (readonly Piece[])[],
  { languages, user }: { languages: Languages; user: string | null },
): Promise<Map<string, Sentence>> {
  const sentences = new Map<string, Sentence>()
  for (const piece of pieces.flat())
    if (typeof piece === 'object') sentences.set(likeness(piece), piece)
  const { source = null, target } = languages
  return new Map(
    await Promise.all(
      [...sentences].map(
        async ([text, sentence]): Promise<[string, Sentence]> => [
          await keyOf([user, source?.toLowerCase() ?? null, target.toLowerCase(), text]),
          sentence,
        ],
      ),
    ),
  )
}

async function recallAll(scope: Scope, keys: ReadonlyMap<string, Sentence>) {
  const known = new Map<string, Known>()
  await Promise.all(
    [...keys].map(async ([key, sentence]) => {
      const one = await recall(scope, key)
      // One whose marks do not fit is bought again.
      if (one && unmarked(one.html, sentence, encodeEntities) !== null) known.set(key, one)
    }),
  )
  return known
}

function finish(
  scope: Scope,
  {
    reservation,
    bought,
    memory,
  }: { reservation: Reservation; bought: Bought; memory: Memory | null },
) {
  settleUse(scope, reservation, { units: bought.characters, micros: Math.ceil(bought.micros) })
  // What was bought before a provider failed is paid for, and not bought again.
  if (memory && bought.known.size > 0) scope.waitUntil(remember(scope, [...bought.known], memory))
}

function written(
  piece: Piece,
  known: ReadonlyMap<string, Known | undefined>,
  out: (text: string) => string,
): string {
  if (typeof piece === 'string') return piece
  const made = unmarked(known.get(likeness(piece))?.html ?? '', piece, out)
  if (made === null) throw new Error('translate: a sentence was lost')
  return made
}

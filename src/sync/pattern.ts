import { bad } from './faults.ts'

const longest = 300

/**
 * A regular expression of a request. The engine tries every way to match, so one with a repetition inside a repetition
 * could be made to take for ever: such is refused, as is what refers back.
 *
 * @throws {Fault} `bad_arg` (400).
 */
export function safePattern(source: string): RegExp {
  if (source.length > longest) throw bad('bad_arg', `A $regex has at most ${longest} characters`)
  // PCRE's inline option, where it begins the pattern.
  const [, flags = '', rest = source] = source.match(/^\(\?([ims]+)\)(.*)$/s) ?? []
  if (repeatsTwice(rest) || /\\[1-9k]/.test(rest))
    throw bad('bad_arg', 'A $regex may not repeat what repeats, nor refer back')
  try {
    return new RegExp(rest, `${flags}u`)
  } catch {
    try {
      return new RegExp(rest, flags)
    } catch {
      throw bad('bad_arg', 'Bad argument for operator $regex: it is no regular expression')
    }
  }
}

/** Whether a group that repeats, or has a choice, is itself repeated; and whether there are many open repetitions. */
function repeatsTwice(source: string): boolean {
  const groups: boolean[] = []
  let open = 0
  let inSet = false
  for (let i = 0; i < source.length; i++) {
    const character = source[i] as string
    if (character === '\\') i++
    else if (inSet) inSet = character !== ']'
    else if (character === '[') inSet = true
    else if (character === '(') groups.push(false)
    else if (character === '|' && groups.length > 0) groups[groups.length - 1] = true
    else if (character === ')') {
      const inner = groups.pop() ?? false
      if (inner && /^[*+{]/.test(source.slice(i + 1))) return true
      if (inner && groups.length > 0) groups[groups.length - 1] = true
    } else if (/[*+{]/.test(character)) {
      open++
      if (groups.length > 0) groups[groups.length - 1] = true
    }
  }
  return open > 5
}

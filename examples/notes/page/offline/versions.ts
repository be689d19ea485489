import { part } from '../dom.ts'
import { when } from '../list.ts'
import type { Draft, Kept, Notebook } from './notebook.ts'
import { showBlob } from './picture.ts'

const place = part('versions')

const make = <Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className = '',
  text = '',
): HTMLElementTagNameMap[Name] => {
  const element = document.createElement(name)
  element.className = className
  // Always as text: a note is whatever someone wrote.
  element.textContent = text
  return element
}

const deed = (text: string, className: string, run: () => void) => {
  const button = make('button', className, text)
  button.type = 'button'
  button.addEventListener('click', run)
  return button
}

/** All texts, one below the other, under the first one's title. */
function joined(versions: readonly Kept[]): Draft {
  const [first] = versions
  const parts = versions.map(({ title, body }) =>
    title === first?.title ? body : `${title}\n${body}`,
  )
  return { title: first?.title ?? '', body: [...new Set(parts)].join('\n\n* * *\n\n') }
}

/** Shows the versions of a note side by side, to choose one or to keep all of their texts. */
export async function showVersions(
  notebook: Notebook,
  versions: readonly Kept[],
  choose: (stays: Kept, text?: Draft) => void,
) {
  const heading = make('h2', '', 'This note was changed in two places at once')
  heading.tabIndex = -1
  const words = make(
    'p',
    'aside',
    'Every version is kept until you choose. Nothing is lost by waiting.',
  )
  const cards = await Promise.all(
    versions.map(async (version, i) => {
      const card = make('article', 'version')
      const name = `Version ${i + 1}`
      card.setAttribute('aria-label', name)
      const picture = make('img', 'version-picture')
      picture.alt = `Picture of version ${i + 1}`
      showBlob(picture, await notebook.picture(version))
      const keep = deed('Keep this one', 'button primary', () => choose(version))
      keep.setAttribute('aria-label', `Keep version ${i + 1}`)
      card.replaceChildren(
        make('p', 'aside', `${name}, written ${when(version.edited)}`),
        make('h3', '', version.title || 'Untitled'),
        make('p', 'version-text', version.body || 'No text'),
        picture,
        keep,
      )
      return card
    }),
  )
  const list = make('div', 'version-list')
  list.replaceChildren(...cards)
  const [first] = versions
  const both = deed('Keep both texts', 'button', () => first && choose(first, joined(versions)))
  place.replaceChildren(heading, words, list, both)
  place.hidden = false
}

export function hideVersions() {
  for (const picture of place.querySelectorAll('img')) showBlob(picture, undefined)
  place.replaceChildren()
  place.hidden = true
}

/** The element of index.html with this id; that it is there and of this kind is checked once, at the start. */
export function byId<Kind extends Node>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id)
  if (!(element instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`)
  return element
}

export const button = (id: string) => byId(id, HTMLButtonElement)
export const input = (id: string) => byId(id, HTMLInputElement)
export const part = (id: string) => byId(id, HTMLElement)

/** Shows what is wrong, and moves to the field that it is about. An empty text takes it back. */
export function complain(place: HTMLElement, words: string, field?: HTMLElement) {
  place.textContent = words
  const form = place.closest('form')
  for (const marked of form?.querySelectorAll('[aria-invalid]') ?? [])
    marked.removeAttribute('aria-invalid')
  if (!words || !field) return
  field.setAttribute('aria-invalid', 'true')
  field.focus()
}

/** Runs work once at a time: its buttons are off and say that it goes on. */
export async function busy<Result>(
  control: HTMLButtonElement,
  words: string,
  work: () => PromiseLike<Result>,
): Promise<Result> {
  const before = control.textContent
  control.disabled = true
  control.textContent = words
  try {
    return await work()
  } finally {
    control.disabled = false
    control.textContent = before
  }
}

const toast = part('toast')
let timer: ReturnType<typeof setTimeout> | undefined

/** Says in passing what has been done; read out by screen readers, and gone after some seconds. */
export function say(words: string) {
  clearTimeout(timer)
  toast.textContent = words
  timer = setTimeout(() => {
    toast.textContent = ''
  }, 5000)
}

/* The page of an app that signs in by stock supabase-js. Its path names the flow that it uses. */
import { createClient, type SupabaseClient } from '@supabase/supabase-js'

declare global {
  interface Window {
    publishableKey: string
    /** Where the API is. @default the page's own origin */
    api?: string
    supabase: SupabaseClient
    /** What the client has told of. */
    events: string[]
  }
}

const flowType = location.pathname === '/pkce' ? 'pkce' : 'implicit'
window.supabase = createClient(window.api ?? location.origin, window.publishableKey, {
  auth: { flowType },
})
window.events = []
const { auth } = window.supabase
auth.onAuthStateChange((event) => void window.events.push(event))

const redirectTo = location.origin + location.pathname
const provider = 'real' as 'google'
const element = (id: string) => document.getElementById(id) as HTMLElement
const say = (id: string, text: string) => {
  element(id).textContent = text
}
const doing = (id: string, work: () => Promise<{ error: Error | null }>) =>
  element(id).addEventListener('click', async () => {
    const { error } = await work()
    say('problem', error?.message ?? '')
    if (!error) say('done', id)
  })

doing('sign-in', () => auth.signInWithOAuth({ provider, options: { redirectTo } }))
doing('link', () => auth.linkIdentity({ provider, options: { redirectTo } }))
doing('send', () =>
  auth.signInWithOtp({
    email: (element('email') as HTMLInputElement).value,
    options: { emailRedirectTo: redirectTo },
  }),
)

// What it found in its address; then whom the server knows by it.
const { error } = await auth.initialize()
say(
  'problem',
  error?.message ?? new URLSearchParams(location.search).get('error_description') ?? '',
)
const { data } = await auth.getUser()
say('who', data.user?.email ?? 'nobody')

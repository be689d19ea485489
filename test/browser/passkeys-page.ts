/* The page of an app that signs in by stock supabase-js, with a field that offers passkeys. */
import { createClient, type SupabaseClient } from '@supabase/supabase-js'

declare global {
  interface Window {
    publishableKey: string
    supabase: SupabaseClient
  }
}

window.supabase = createClient(location.origin, window.publishableKey)
document.body.dataset.ready = 'yes'

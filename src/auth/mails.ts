import type { Mail } from '../core/ports.ts'
import type { Scope } from '../core/scope.ts'
import type { Settings } from './settings.ts'
import type { Metadata } from './wire.ts'

/** What a mail says. `html` is made of `text` if it is left out. */
export interface Mailed {
  subject: string
  text: string
  html?: string
}

/** What a template knows. Escape whatever goes into HTML: addresses and metadata are what someone typed. */
export interface MailFacts {
  /** The app's origin. */
  site: string
  /** Whom it goes to. */
  email: string
  /** Leads to the app and does it. */
  link: string
  /** Does the same, typed in. */
  code: string
  /** In minutes, that the code lives. */
  minutes: number
  /** The other address, where one is changed. */
  newEmail: string
  oldEmail: string
  /** What was linked, unlinked, added or removed. */
  subject: string
  /** The user's metadata, as far as they are known; they wrote it. */
  data: Metadata
  /** `data.locale`, if it is a language tag (BCP 47), such as `de-AT`. */
  locale: string | undefined
}

/** One function for each kind of mail. */
export interface MailTemplates {
  signup(facts: MailFacts): Mailed
  magiclink(facts: MailFacts): Mailed
  recovery(facts: MailFacts): Mailed
  invite(facts: MailFacts): Mailed
  email_change_current(facts: MailFacts): Mailed
  email_change_new(facts: MailFacts): Mailed
  reauthentication(facts: MailFacts): Mailed
  /** To whoever has an account already and whose address was used to sign up. */
  exists(facts: MailFacts): Mailed
  password_changed(facts: MailFacts): Mailed
  /** To the old address. */
  email_changed(facts: MailFacts): Mailed
  phone_changed(facts: MailFacts): Mailed
  identity_linked(facts: MailFacts): Mailed
  identity_unlinked(facts: MailFacts): Mailed
  factor_added(facts: MailFacts): Mailed
  factor_removed(facts: MailFacts): Mailed
  /** Where `impersonation` has `notify`: for how many `minutes`, and in `subject` the reason that was given. */
  impersonated(facts: MailFacts): Mailed
  /** `subject` is the organisation's name and `data.organization` what it is; its people wrote both. Has no `code`. */
  organization_invite(facts: MailFacts): Mailed
}

/** For templates of your own. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)

const hostOf = (site: string): string => new URL(site).host

const notYou =
  'If this was not you, someone else has access to your account: answer this mail at once.'
const ignore = 'If you did not ask for this, ignore this mail: nothing happens.'

/** A mail with a link and a code. */
const asks =
  (subject: string, why: string, after = ignore) =>
  ({ link, code, minutes, site }: MailFacts): Mailed => ({
    subject: `${subject} (${hostOf(site)})`,
    text: [why, link, `Or enter the code ${code} within ${minutes} minutes.`, after].join('\n\n'),
    html: [
      `<p>${escapeHtml(why)}</p>`,
      `<p><a href="${escapeHtml(link)}">${escapeHtml(subject)}</a></p>`,
      `<p>Or enter the code <strong>${escapeHtml(code)}</strong> within ${minutes} minutes.</p>`,
      `<p>${escapeHtml(after)}</p>`,
    ].join('\n'),
  })

const tells =
  (subject: string, what: (facts: MailFacts) => string, after = notYou) =>
  (facts: MailFacts): Mailed => ({ subject, text: [what(facts), after].join('\n\n') })

/** The templates of `auth` itself: short, and with nothing in them that someone else has written. */
const defaultMails: MailTemplates = {
  signup: asks('Confirm your address', 'Follow this link to confirm your address and sign in:'),
  magiclink: asks('Sign in', 'Follow this link to sign in:'),
  recovery: asks('Choose a new password', 'Follow this link to choose a new password:'),
  invite: asks('You have been invited', 'Follow this link to accept your invitation:'),
  email_change_current: (facts) =>
    asks(
      'Confirm the change of your address',
      `Follow this link to change the address of your account from ${facts.oldEmail} to ${facts.newEmail}:`,
      'If you did not ask for this, ignore this mail and change your password.',
    )(facts),
  email_change_new: (facts) =>
    asks(
      'Confirm your new address',
      `Follow this link to make ${facts.newEmail} the address of your account:`,
    )(facts),
  reauthentication: ({ code, minutes, site }) => ({
    subject: `Your code (${hostOf(site)})`,
    text: [`Enter the code ${code} within ${minutes} minutes to go on.`, notYou].join('\n\n'),
  }),
  exists: tells(
    'You have an account already',
    ({ site, email }) =>
      `Someone, perhaps you, has tried to sign up at ${site} with ${email}, which has an account already. Sign in, or choose a new password if you have forgotten yours.`,
    ignore,
  ),
  password_changed: tells(
    'Your password was changed',
    ({ email }) =>
      `The password of your account ${email} has just been changed, and all your other sessions were signed out.`,
  ),
  email_changed: tells(
    'The address of your account was changed',
    ({ oldEmail, newEmail }) =>
      `The address of your account has just been changed from ${oldEmail} to ${newEmail}.`,
  ),
  phone_changed: tells(
    'The phone number of your account was changed',
    ({ email }) => `The phone number of your account ${email} has just been changed.`,
  ),
  identity_linked: tells(
    'A way to sign in was added',
    ({ email, subject }) => `Your account ${email} can now also be signed in to with ${subject}.`,
  ),
  identity_unlinked: tells(
    'A way to sign in was removed',
    ({ email, subject }) => `Your account ${email} can no longer be signed in to with ${subject}.`,
  ),
  factor_added: tells(
    'A second factor was added',
    ({ email, subject }) => `A second factor (${subject}) was added to your account ${email}.`,
  ),
  factor_removed: tells(
    'A second factor was removed',
    ({ email, subject }) => `A second factor (${subject}) was removed from your account ${email}.`,
  ),
  impersonated: tells(
    'Our staff has opened your account',
    ({ email, minutes, site }) =>
      `A member of the staff of ${hostOf(site)} has just opened your account ${email}, for at most ${minutes} minutes. They cannot change how you sign in.`,
    'If you did not expect this, answer this mail.',
  ),
  organization_invite: tells(
    'You have been invited',
    ({ email, link }) =>
      `You have been invited to join an organisation. To accept, follow this link and sign in as ${email}:\n\n${link}`,
    'If you do not know why, ignore this mail: nothing happens.',
  ),
}

/** A mail by its template, the host's before ours. */
function renderMail(
  settings: Settings,
  scope: Scope,
  kind: keyof MailTemplates,
  facts: Partial<MailFacts> & { email: string },
): Mail {
  const data = facts.data ?? {}
  const locale = data.locale
  const complete: MailFacts = {
    site: settings.site(scope),
    link: '',
    code: '',
    minutes: 10,
    newEmail: '',
    oldEmail: '',
    subject: '',
    ...facts,
    data,
    locale: typeof locale === 'string' && /^[a-zA-Z\d-]{2,35}$/.test(locale) ? locale : undefined,
  }
  const { subject, text, html } = (settings.mails[kind] ?? defaultMails[kind])(complete)
  const body =
    html ??
    text
      .split('\n\n')
      .map((line) => `<p>${escapeHtml(line)}</p>`)
      .join('\n')
  // No template may break a header open (ASVS 5.0, 1.3.11).
  return { to: facts.email, subject: subject.replace(/[\r\n]+/g, ' '), text, html: body }
}

/** Sends a mail after the answer, so that the time tells nothing. Does nothing without a mailer. */
export function sendMail(
  settings: Settings,
  scope: Scope,
  kind: keyof MailTemplates,
  facts: Partial<MailFacts> & { email: string },
): void {
  const { mailer } = settings
  if (!mailer) return
  scope.waitUntil(
    Promise.resolve().then(() => mailer.send(scope, renderMail(settings, scope, kind, facts))),
  )
}

/** Sends a code to a phone after the answer. */
export function sendSms(settings: Settings, scope: Scope, to: string, code: string): void {
  const { sms } = settings
  if (!sms) return
  const text = `${code} is your code for ${hostOf(settings.site(scope))}`
  scope.waitUntil(Promise.resolve().then(() => sms(scope, { to, text })))
}

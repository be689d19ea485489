import { againOr, ann, asGuest, expectPeople, me, put } from './fault-steps.ts'
import { aside, type Row } from './fault-world.ts'
import { expectStatus, password, post } from './world.ts'

const phone = '4917012345678'
const sendSms: Row['call'] = ({ ask }) => post(ask, '/otp', { phone })
const showSms: Row['call'] = ({ ask, inbox }) =>
  post(ask, '/verify', { type: 'sms', phone, token: inbox.code(phone) })
const showPhone: Row['call'] = (world) =>
  post(world.ask, '/verify', { type: 'phone_change', phone, token: world.inbox.code(phone) })
const caller = { email: null, phone, anonymous: 0, ways: 'phone' }
const reachable = { ...ann, phone, ways: 'email,phone' }

export const phones: Row[] = [
  {
    name: 'POST /signup, by phone',
    call: ({ ask }) => post(ask, '/signup', { phone, password }),
    retry: async (world) => {
      await expectStatus(await post(world.ask, '/signup', { phone, password }), 200)
      return showSms(world)
    },
  },
  {
    name: 'POST /otp, a text message',
    call: sendSms,
    retry: async (world) => {
      await expectStatus(await sendSms(world), 200)
      return showSms(world)
    },
  },
  {
    name: 'POST /verify, a text message',
    prepare: sendSms,
    call: showSms,
    retry: againOr(showSms, async (world) => {
      await sendSms(world)
      return showSms(world)
    }),
    end: expectPeople(ann, caller),
  },
  {
    name: 'POST /verify, a wrong code of a text message',
    prepare: sendSms,
    // A failure of ours spends no attempt: five wrong ones would end the code.
    call: async (world) => {
      const code = world.inbox.code(phone)
      const wrong = code === '000000' ? '000001' : '000000'
      const response = await post(world.ask, '/verify', { type: 'sms', phone, token: wrong })
      return response.status === 403 ? aside(() => showSms(world)) : response
    },
    retry: showSms,
  },
  {
    name: 'POST /resend, a text message',
    prepare: ({ ask }) => post(ask, '/signup', { phone, password }),
    call: ({ ask }) => post(ask, '/resend', { type: 'sms', phone }),
    retry: async (world) => {
      await expectStatus(await post(world.ask, '/resend', { type: 'sms', phone }), 200)
      return showSms(world)
    },
  },
  {
    name: 'PUT /user, phone',
    call: (world) => put(world, { phone }),
    retry: async (world) => {
      await expectStatus(await put(world, { phone }), 200)
      return showPhone(world)
    },
  },
  {
    name: 'POST /verify, phone change',
    prepare: (world) => put(world, { phone }),
    call: showPhone,
    // Changed already, or not: who asks sees it.
    retry: againOr(showPhone, me),
    end: expectPeople(reachable),
  },
  {
    name: "POST /verify, a guest's phone",
    prepare: async (world) => {
      await asGuest(world)
      await put(world, { phone })
    },
    call: showPhone,
    // Every session of before has ended: the way in is the phone.
    retry: againOr(showPhone, async (world) => {
      await sendSms(world)
      return showSms(world)
    }),
    end: expectPeople(ann, caller),
  },
  {
    name: 'POST /resend, phone change',
    prepare: async (world) => {
      // Each change has its own number; the message goes to the new one.
      await sendSms(world)
      world.session = await expectStatus(await showSms(world), 200)
      world.inbox.clear()
      await put(world, { phone: '+4917087654321' })
    },
    call: ({ ask }) => post(ask, '/resend', { type: 'phone_change', phone }),
    retry: async (world) => {
      await expectStatus(await post(world.ask, '/resend', { type: 'phone_change', phone }), 200)
      const changed = '4917087654321'
      const shown = { type: 'phone_change', phone: changed, token: world.inbox.code(changed) }
      return post(world.ask, '/verify', shown)
    },
  },
]

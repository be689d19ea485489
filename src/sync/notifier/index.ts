import type { Notifier } from '../watch.ts'

/** The part of a Durable Object's state that is used. */
interface State {
  acceptWebSocket(socket: WebSocket): void
  getWebSockets(): WebSocket[]
}

/** A Worker's side of a WebSocket. */
type Socket = WebSocket & { accept(): void }

/** The runtime's own. */
declare const WebSocketPair: new () => { 0: WebSocket; 1: WebSocket }

/** The part of a Durable Object namespace that is used. */
export interface Namespace {
  idFromName(name: string): unknown
  get(id: never): { fetch(url: string, init?: RequestInit): Promise<Response> }
}

/**
 * Durable Object that tells held feeds of one database that it has changed. It keeps no data, and sleeps while its sockets
 * are open. Export it from the Worker and bind it:
 *
 * ```toml
 * [[durable_objects.bindings]]
 * name = "SYNC"
 * class_name = "SyncNotifier"
 *
 * [[migrations]]
 * tag = "v1"
 * new_sqlite_classes = ["SyncNotifier"]
 * ```
 */
export class SyncNotifier {
  readonly #state: State

  constructor(state: State) {
    this.#state = state
  }

  /** A feed listens by a WebSocket; a write says its sequence by POST. */
  async fetch(request: Request): Promise<Response> {
    if (request.headers.get('upgrade') === 'websocket') {
      const { 0: client, 1: server } = new WebSocketPair()
      this.#state.acceptWebSocket(server)
      return new Response(null, { status: 101, webSocket: client } as ResponseInit)
    }
    const seq = await request.text()
    for (const socket of this.#state.getWebSockets()) send(socket, seq)
    return new Response(null, { status: 204 })
  }

  webSocketMessage(): void {}

  webSocketClose(socket: WebSocket, code: number): void {
    try {
      socket.close(code === 1005 || code === 1006 ? 1000 : code)
    } catch {
      // It is closed already.
    }
  }
}

function send(socket: WebSocket, text: string): void {
  try {
    socket.send(text)
  } catch {
    // Its feed has gone; the others are told all the same.
  }
}

/** Any address will do: it never leaves the Worker. */
const url = 'https://sync-notifier.invalid/'

/**
 * Wakes held feeds by a Durable Object, one for each database that is in use: `sync(base, { …, notifier: notifier(…) })`.
 *
 * @param namespace Where `SyncNotifier` is bound: `(env: Env) => env.SYNC`.
 */
export function notifier<Env>(namespace: (env: Env) => Namespace): Notifier {
  const stubOf = (env: unknown, database: string) => {
    const bound = namespace(env as Env)
    return bound.get(bound.idFromName(database) as never)
  }
  return {
    async notify({ env }, database, seq) {
      await stubOf(env, database).fetch(url, { method: 'POST', body: String(seq) })
    },
    async listen({ env }, database) {
      const { webSocket } = (await stubOf(env, database).fetch(url, {
        headers: { upgrade: 'websocket' },
      })) as Response & { webSocket: Socket | null }
      if (!webSocket) throw new Error('sync: the notifier did not open a socket')
      let newest = 0
      webSocket.accept()
      webSocket.addEventListener('message', ({ data }) => {
        newest = Math.max(newest, Number(data))
      })
      return { newest: () => newest, close: () => webSocket.close() }
    },
  }
}

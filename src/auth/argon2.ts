/*
 * Argon2 (RFC 9106) by the WebAssembly of @phi-ag/argon2. That package's own JavaScript is not used: it passes a
 * string's length in UTF-16 units where the C code expects bytes, and so cuts the end off any password that is not ASCII.
 */
import wasm from '@phi-ag/argon2/argon2.wasm'

interface Exports {
  memory: { buffer: ArrayBuffer }
  _initialize(): void
  malloc(bytes: number): number
  free(pointer: number): void
  argon2_hash(...numbers: number[]): number
}

/** What a hash costs. */
export interface Parameters {
  /** Memory in KiB. */
  m: number
  /** Passes. */
  t: number
  /** Lanes. */
  p: number
  /** Only foreign hashes are argon2i. @default 'id' */
  type?: 'i' | 'id'
  /** Of the hash, in bytes. @default 32 */
  length?: number
}

const types = { i: 1, id: 2 } as const
const version = 0x13

// Pure: the same bytes in, the same bytes out. Kept because instantiating costs more than a cheap hash.
let instance: Exports | undefined

function argon2(): Exports {
  if (!instance) {
    instance = new WebAssembly.Instance(wasm, {}).exports as unknown as Exports
    instance._initialize()
  }
  return instance
}

/** Argon2id, version 1.3. Synchronous: holds the isolate for its 25 ms or so. */
export function argon2id(password: Uint8Array, salt: Uint8Array, cost: Parameters): Uint8Array {
  const c = argon2()
  const { type = 'id', length: hashLength = 32 } = cost
  const taken: [pointer: number, length: number][] = []
  const take = (length: number, bytes?: Uint8Array): number => {
    const pointer = c.malloc(length)
    if (pointer === 0) throw new Error('argon2: out of memory')
    taken.push([pointer, length])
    if (bytes) new Uint8Array(c.memory.buffer).set(bytes, pointer)
    return pointer
  }
  try {
    // malloc(0) may answer 0; one byte more is never read.
    const passwordAt = take(password.length + 1, password)
    const saltAt = take(salt.length, salt)
    const hashAt = take(hashLength)
    const code = c.argon2_hash(
      cost.t,
      cost.m,
      cost.p,
      passwordAt,
      password.length,
      saltAt,
      salt.length,
      hashAt,
      hashLength,
      0,
      0,
      types[type],
      version,
    )
    if (code !== 0) throw new Error(`argon2: error ${code}`)
    return new Uint8Array(c.memory.buffer).slice(hashAt, hashAt + hashLength)
  } finally {
    for (const [pointer, length] of taken) {
      // The next caller's memory must not hold this one's password.
      new Uint8Array(c.memory.buffer).fill(0, pointer, pointer + length)
      c.free(pointer)
    }
  }
}

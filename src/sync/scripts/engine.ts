import base from '@jitl/quickjs-wasmfile-release-sync'
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSRuntime,
} from 'quickjs-emscripten-core'
// A link to the one of that package, which the build copies: bundlers for Workers go by the name's end, and it exports none
// with such an end.
import wasm from './quickjs.wasm'
import { realm } from './realm.ts'

/*
 * An interpreter of its own for each request, in memory of its own: what one request's functions do to it no other meets,
 * and it goes as a whole when nobody holds it any more. To make one takes about 1 ms.
 */

/** What a function's call came to. */
export type Result =
  | { is: 'value'; json: string }
  | { is: 'forbidden' | 'unauthorized' | 'error' | 'exceeded'; message: string }

/** A design document's functions, and what they have around them. */
export interface Realm {
  call(operation: 'compile', path: string): Result
  call(operation: 'map', fn: number, doc: string): Result
  call(operation: 'filter', fn: number, doc: string, request: string): Result
  call(operation: 'reduce', fn: number, keys: string, values: string, rereduce: string): Result
  call(
    operation: 'validate',
    fn: number,
    doc: string,
    old: string,
    user: string,
    security: string,
  ): Result
}

export interface Engine {
  /** @param json The design document. */
  realm(json: string): Realm
  /** Whether another one has to go on: this one was left in the middle of something. */
  broken(): boolean
  /** Whether all calls together were too much. */
  spent(): boolean
}

/**
 * In pages of 64 KiB: the least that this build takes, and 48 MiB. It is the memory that has the limit, because QuickJS
 * compiled to WebAssembly does not know the size of what it has allocated.
 */
const memory = { initial: 256, maximum: 768 }
/** In bytes: some 600 calls deep, or 2,000 levels of JSON. What is thrown tells of every one, which takes its time. */
const stack = 96 * 1024
/** How often QuickJS asks whether to go on: after each 10,000 jumps back and calls. For one call, and for all of them. */
const perCall = 500
const inAll = 10_000
/** In milliseconds, where there is a clock: in production it stands still while a Worker computes. */
const longestCall = 1000
const longestInAll = 10_000

const kinds = { f: 'forbidden', u: 'unauthorized', e: 'error', l: 'exceeded' } as const
const exceeded: Result = {
  is: 'exceeded',
  message: 'it took too many steps, too much time or too much memory',
}

interface Meter extends Pick<Engine, 'broken' | 'spent'> {
  /** Runs a call. What it throws, or what cannot be known of the interpreter after it, ends the interpreter. */
  run(call: () => Result): Result
}

function meter(runtime: QuickJSRuntime): Meter {
  let broken = false
  let steps = 0
  let milliseconds = 0
  let own = 0
  let began = 0
  runtime.setInterruptHandler(
    () => ++own > perCall || steps + own > inAll || Date.now() - began > longestCall,
  )
  const spent = () => steps > inAll || milliseconds > longestInAll
  return {
    broken: () => broken,
    spent,
    run(call) {
      if (broken || spent()) return exceeded
      own = 0
      began = Date.now()
      try {
        return call()
      } catch {
        // The stack of WebAssembly itself, mostly.
        broken = true
        return exceeded
      } finally {
        steps += own
        milliseconds += Date.now() - began
      }
    },
  }
}

export async function makeEngine(): Promise<Engine> {
  const wasmMemory = new WebAssembly.Memory(memory)
  const variant = newVariant(base, { wasmModule: wasm, wasmMemory })
  const runtime = (await newQuickJSWASMModuleFromVariant(variant)).newRuntime()
  runtime.setMaxStackSize(stack)
  const { run, broken, spent } = meter(runtime)
  return {
    broken,
    spent,
    realm(json) {
      const context = runtime.newContext({ intrinsics })
      let call: QuickJSHandle | undefined
      const loaded = run(() => {
        const made = context.evalCode(realm)
        if (made.error) return exceeded
        call = made.value
        return answerOf(context, call, ['load', json])
      })
      return {
        call(operation: string, ...args: (string | number)[]): Result {
          const answer = call
          if (!answer || loaded.is !== 'value') return exceeded
          return run(() => answerOf(context, answer, [operation, ...args]))
        },
      }
    },
  }
}

/** What is left out can not be bounded, or has no use without an event loop. */
const intrinsics = {
  BaseObjects: true,
  Eval: true,
  Date: true,
  RegExpCompiler: true,
  RegExp: true,
  JSON: true,
  MapSet: true,
  StringNormalize: false,
  Proxy: false,
  TypedArrays: false,
  Promise: false,
} as const

function answerOf(
  context: QuickJSContext,
  call: QuickJSHandle,
  args: readonly (string | number)[],
): Result {
  const handles = args.map((arg) =>
    typeof arg === 'number' ? context.newNumber(arg) : context.newString(arg),
  )
  try {
    const result = context.callFunction(call, context.undefined, ...handles)
    if (result.error) {
      result.error.dispose()
      return exceeded
    }
    const text = context.getString(result.value)
    result.value.dispose()
    const kind = text.charAt(0)
    if (kind === 'o') return { is: 'value', json: text.slice(1) }
    const is = kinds[kind as keyof typeof kinds]
    if (is === 'exceeded') return exceeded
    return { is, message: text.slice(1, 1000) }
  } finally {
    for (const handle of handles) handle.dispose()
  }
}

/*
 * What a design document's functions find around them, as JavaScript for QuickJS: `emit`, `sum`, `isArray`, `toJSON`, `log`
 * and `require`, as https://docs.couchdb.org/en/stable/query-server/javascript.html has them. All of it is theirs alone:
 * nothing here leads out of the interpreter.
 *
 * Instructions are counted by QuickJS, but not what one call of a built-in function does. Those that could go on for hours
 * (a search of a long text for a long text, an array that says it has 2 ** 53 elements) pay for it here.
 */

/**
 * An expression: a function that makes a realm of a design document (JSON) and answers calls, as text whose first
 * character says what it is: `o` (result, as JSON), `f`, `u` (refused), `e` (error, `<name>: <message>`), `l` (too much).
 */
export const realm = String.raw`(function () {
  'use strict'
  const { parse, stringify } = JSON
  const { apply, construct, defineProperty, deleteProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect
  const { isArray } = Array
  const { create, hasOwn } = Object
  const text = String
  const evaluate = globalThis.eval
  const OutOfBounds = InternalError
  const { log2, min } = Math
  const textOf = (value) => (typeof value === 'string' ? value : text(value))

  // In about 15 ns. Past the limit it goes on until the interpreter is stopped, which no catch and no finally can change.
  let spent = 0
  const spend = (units) => {
    spent += units
    if (!(spent <= 2e7)) for (;;);
  }

  const hide = (object, name, value) =>
    defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false })
  const guard = (object, name, make) => {
    const before = object[name]
    if (typeof before === 'function') hide(object, name, make(before))
  }

  // Array.prototype
  const lengthOf = (list) => {
    if (typeof list === 'string') return list.length
    const own = list === null || list === undefined ? undefined : getOwnPropertyDescriptor(Object(list), 'length')
    // A getter could say something else the next time.
    if (!own || typeof own.value !== 'number') throw new TypeError('This is for arrays')
    return own.value
  }
  for (const name of ownKeys(Array.prototype)) {
    if (name === 'constructor' || name === 'length' || typeof name === 'symbol') continue
    if (/^(keys|values|entries|push|pop|at|toString|toLocaleString|concat|flat|flatMap|sort|toSorted)$/.test(name)) continue
    guard(Array.prototype, name, (before) => ({
      [name](...args) {
        const weight = /ndexOf$|^includes$/.test(name) && typeof args[0] === 'string' ? 1 + args[0].length / 64 : 1
        spend(lengthOf(this) * weight)
        return apply(before, this, args)
      },
    })[name])
  }
  const inOrder = (a, b) => {
    const [one, two] = [textOf(a), textOf(b)]
    spend((one.length + two.length) / 64)
    return one < two ? -1 : one > two ? 1 : 0
  }
  for (const name of ['sort', 'toSorted'])
    guard(Array.prototype, name, (before) => ({
      [name](compare) {
        const length = lengthOf(this)
        spend(length * (1 + log2(length + 1)))
        return apply(before, this, [compare === undefined ? inOrder : compare])
      },
    })[name])
  const append = (all, list) => {
    const length = lengthOf(list)
    spend(length)
    for (let i = 0; i < length; i++) if (i in list) all[all.length] = list[i]
    return all
  }
  const flatten = (all, list, depth) => {
    const length = lengthOf(list)
    spend(length)
    for (let i = 0; i < length; i++) {
      if (!(i in list)) continue
      if (depth >= 1 && isArray(list[i])) flatten(all, list[i], depth - 1)
      else all[all.length] = list[i]
    }
    return all
  }
  hide(Array.prototype, 'concat', function concat(...items) {
    const all = append([], this)
    for (const item of items) {
      if (isArray(item)) append(all, item)
      else all[all.length] = item
    }
    return all
  })
  hide(Array.prototype, 'flat', function flat(depth = 1) {
    return flatten([], this, +depth)
  })
  hide(Array.prototype, 'flatMap', function flatMap(to, self) {
    const mapped = []
    const length = lengthOf(this)
    spend(length)
    for (let i = 0; i < length; i++) if (i in this) mapped[mapped.length] = apply(to, self, [this[i], i, this])
    return flatten([], mapped, 1)
  })

  // String.prototype
  for (const name of ['indexOf', 'lastIndexOf', 'includes'])
    guard(String.prototype, name, (before) => ({
      [name](part, from) {
        if (name === 'includes' && part instanceof RegExp)
          throw new TypeError('includes takes no regular expression')
        const [whole, needle] = [thisText(this), textOf(part)]
        spend(1 + (whole.length * min(whole.length, needle.length)) / 16)
        return apply(before, whole, from === undefined ? [needle] : [needle, from])
      },
    })[name])
  const thisText = (value) => {
    if (value === null || value === undefined) throw new TypeError('null or undefined are no text')
    return textOf(value)
  }
  for (const name of ['split', 'replace', 'replaceAll'])
    guard(String.prototype, name, (before) => ({
      [name](part, more) {
        const whole = thisText(this)
        const symbol = name === 'split' ? Symbol.split : Symbol.replace
        const own = typeof part === 'object' && part !== null ? part[symbol] : undefined
        if (typeof own === 'function') {
          if (name === 'replaceAll' && part instanceof RegExp && !part.global)
            throw new TypeError('replaceAll must be called with a global RegExp')
          return apply(own, part, [whole, more])
        }
        const needle = part === undefined ? part : textOf(part)
        spend(1 + (whole.length * min(whole.length, needle === undefined ? 0 : needle.length)) / 16)
        return apply(before, whole, [needle, more])
      },
    })[name])
  for (const symbol of [Symbol.split, Symbol.replace, Symbol.match, Symbol.matchAll])
    guard(RegExp.prototype, symbol, (before) => function (whole, more) {
      const value = textOf(whole)
      spend(value.length * 4)
      return apply(before, this, [value, more])
    })
  hide(String.prototype, 'localeCompare', function localeCompare(other) {
    return inOrder(thisText(this), other)
  })

  // Iterators of what has no end are taken by code that is counted.
  const Before = Set
  const Counted = function Set(values) {
    if (new.target === undefined) throw new TypeError('Set must be called with new')
    const set = construct(Before, [], new.target)
    if (values !== null && values !== undefined) for (const value of values) set.add(value)
    return set
  }
  defineProperty(Counted, 'prototype', { value: Before.prototype, writable: false })
  hide(Before.prototype, 'constructor', Counted)
  hide(globalThis, 'Set', Counted)
  for (const name of ['isDisjointFrom', 'isSubsetOf', 'isSupersetOf', 'intersection', 'difference', 'symmetricDifference', 'union'])
    deleteProperty(Set.prototype, name)
  const Iterating = getPrototypeOf(getPrototypeOf([][Symbol.iterator]()))
  for (const name of ownKeys(Iterating)) if (name !== Symbol.iterator) deleteProperty(Iterating, name)
  deleteProperty(globalThis, 'Iterator')

  // Whole numbers of a million digits are multiplied in one instruction: there are none, and no way to write them.
  deleteProperty(globalThis, 'BigInt')
  const refuse = function Function() {
    throw new EvalError('Code can not be made of text here')
  }
  defineProperty(refuse, 'prototype', { value: Function.prototype, writable: false })
  for (const one of [function () {}, function* () {}, async function () {}, async function* () {}]) {
    const prototype = getPrototypeOf(one)
    if (prototype) defineProperty(prototype, 'constructor', { value: refuse, writable: true, configurable: true })
  }
  hide(globalThis, 'Function', refuse)
  deleteProperty(globalThis, 'eval')
  const bigInteger = /(?<![\w$])\d\w*n(?![\w$])/
  const { test } = RegExp.prototype
  const { exec } = RegExp.prototype
  const codeOf = (source, names) => {
    if (typeof source !== 'string') throw new TypeError('The source is no text')
    hide(bigInteger, 'exec', exec)
    if (apply(test, bigInteger, [source])) throw new SyntaxError('BigInt is not supported')
    return evaluate('(function (' + names + ') {' + source + '\n})')
  }

  // Of CouchDB
  let rows = []
  hide(globalThis, 'emit', function emit(key, value) {
    rows[rows.length] = [key, value]
  })
  hide(globalThis, 'sum', function sum(values) {
    let total = 0
    for (let i = 0; i < values.length; i++) total += values[i]
    return total
  })
  hide(globalThis, 'isArray', isArray)
  hide(globalThis, 'toJSON', (value) => stringify(value))
  hide(globalThis, 'log', function log() {})

  let design
  const modules = create(null)
  const stepsOf = (path) => {
    const steps = []
    let step = ''
    for (const letter of path + '/') {
      if (letter !== '/') step += letter
      else {
        steps[steps.length] = step
        step = ''
      }
    }
    return steps
  }
  const requireFrom = (from) => (path) => {
    const steps = stepsOf(textOf(path))
    const at = []
    if (steps[0] === '.' || steps[0] === '..') for (const step of from) at[at.length] = step
    for (const step of steps) {
      if (step === '..') at.length = at.length > 0 ? at.length - 1 : 0
      else if (step !== '.' && step !== '') at[at.length] = step
    }
    const name = stringify(at)
    if (modules[name]) return modules[name].exports
    let source = design
    for (const step of at) {
      if (typeof source !== 'object' || source === null || !hasOwn(source, step))
        throw new ReferenceError('require: there is no ' + textOf(path))
      source = source[step]
    }
    const module = { id: name, exports: {} }
    modules[name] = module
    at.length = at.length - 1
    apply(codeOf(source, 'module, exports, require'), module.exports, [module, module.exports, requireFrom(at)])
    return module.exports
  }

  const functions = []
  const operations = create(null)
  operations.load = (json) => {
    design = parse(json)
  }
  operations.compile = (json) => {
    let source = design
    for (const step of parse(json)) source = source[step]
    if (typeof source !== 'string') throw new SyntaxError('Expression does not eval to a function.')
    // As an expression, whatever stands after it.
    const cleaned = apply(trimmed, source, [/[\s;]*$/, ''])
    const made = apply(codeOf('return (\n' + cleaned + '\n)', 'require'), undefined, [requireFrom([])])
    if (typeof made !== 'function') throw new SyntaxError('Expression does not eval to a function.')
    functions[functions.length] = made
    return functions.length - 1
  }
  const trimmed = String.prototype.replace
  operations.map = (at, doc) => {
    rows = []
    apply(functions[at], design, [parse(doc)])
    return rows
  }
  operations.filter = (at, doc, request) => !!apply(functions[at], design, [parse(doc), parse(request)])
  operations.validate = (at, doc, old, user, security) => {
    apply(functions[at], design, [parse(doc), parse(old), parse(user), parse(security)])
  }
  operations.reduce = (at, keys, values, again) =>
    apply(functions[at], design, [parse(keys), parse(values), parse(again)])

  const reasonOf = (reason) => (typeof reason === 'object' ? stringify(reason) : text(reason))
  const thrownOf = (thrown) => {
    if (typeof thrown !== 'object' || thrown === null) return 'eunnamed_error: ' + text(thrown)
    if (thrown instanceof OutOfBounds) return 'l' + text(thrown.message)
    if (thrown instanceof Error) return 'e' + text(thrown.name) + ': ' + text(thrown.message)
    if (thrown.forbidden !== undefined) return 'f' + reasonOf(thrown.forbidden)
    if (thrown.unauthorized !== undefined) return 'u' + reasonOf(thrown.unauthorized)
    return 'eunnamed_error: ' + stringify(thrown)
  }
  return (operation, a, b, c, d, e) => {
    spent = 0
    try {
      const value = stringify(operations[operation](a, b, c, d, e))
      return 'o' + (value === undefined ? 'null' : value)
    } catch (thrown) {
      try {
        return thrownOf(thrown)
      } catch {
        return 'eunnamed_error: what was thrown can not be told'
      }
    }
  }
})()`

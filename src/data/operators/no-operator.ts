import { dataFaults } from '../faults.ts'
import type { WireType } from '../wire.ts'

/** PostgREST's words for Postgres's operators. */
const signs = new Map(
  Object.entries({
    eq: '=',
    neq: '<>',
    gt: '>',
    gte: '>=',
    lt: '<',
    lte: '<=',
    isdistinct: 'is distinct from',
    like: '~~',
    ilike: '~~*',
    match: '~',
    imatch: '~*',
    cs: '@>',
    cd: '<@',
    ov: '&&',
    sl: '<<',
    sr: '>>',
    nxr: '&<',
    nxl: '&>',
    adj: '-|-',
    fts: '@@',
    plfts: '@@',
    phfts: '@@',
    wfts: '@@',
  }),
)

/** A type has no such operator. */
export const noOperator = (type: WireType, operator: string) =>
  dataFaults['42883']({
    message: `operator does not exist: ${type.name} ${signs.get(operator) ?? operator} unknown`,
    hint: 'No operator matches the given name and argument types.',
  })

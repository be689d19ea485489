export { type Base, type BindOptions, bind } from './bind.ts'
export type { Cost } from './cost.ts'
export type { Database, KeyValue, Queryable, QueryResult, Session, Statement } from './database.ts'
export { Fault, type FaultOptions, type Faults, faults, problem } from './fault.ts'
export { uuidv7 } from './id.ts'
export { type ApiKeys, apiKeys, guest } from './identity.ts'
export { exceeded, type Limit, networkOf, refund, spend } from './limit.ts'
export { type Migrated, type Migration, migrate } from './migrate.ts'
export { type Execution, handlers, type Module, type QueueBatch } from './module.ts'
export type {
  Enqueue,
  EnqueueOptions,
  Identity,
  JobFailed,
  Mail,
  Mailer,
  Membership,
  Principal,
} from './ports.ts'
export { type Route, type RouteEntry, routesOf } from './routes.ts'
export type { Scope, Source } from './scope.ts'
export { developmentSecret, open, randomToken, seal } from './secret.ts'
export { validate } from './validate.ts'

/* express-pouchdb over PouchDB's memory adapter, in a process of its own. */
import express from 'express'
import expressPouch from 'express-pouchdb'
import memory from 'pouchdb-adapter-memory'
import PouchDB from 'pouchdb-core'
import find from 'pouchdb-find'
import mapreduce from 'pouchdb-mapreduce'
import replication from 'pouchdb-replication'

for (const plugin of [memory, mapreduce, replication, find]) PouchDB.plugin(plugin)
const app = express()
app.use(
  expressPouch(PouchDB.defaults({ adapter: 'memory' }), {
    mode: 'minimumForPouchDB',
    inMemoryConfig: true,
    logPath: '/dev/null',
  }),
)
app.listen(Number(process.argv[2]), '127.0.0.1', () => process.send('ready'))

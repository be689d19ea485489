import { faults } from '../../core/fault.ts'

/** What functions of design documents come to, in CouchDB's words, which has 500 for the last two. */
export const scriptsFaults = faults({
  invalid_design_doc: [400, 'The design document is not of its shape'],
  compilation_error: [400, 'The function does not compile'],
  unnamed_error: [400, 'The function threw'],
  os_process_error: [400, 'The function took too many steps, too much time or too much memory'],
})

import { type Fault, faults } from '../../core/fault.ts'

/** What Mango finds wrong with a request, in CouchDB's words. */
export const findFaults = faults({
  missing_required_key: [400, 'Missing required key: selector'],
  invalid_key: [400, 'Invalid key for this request.'],
  invalid_selector: [400, 'One or more conditions is missing a field name.'],
  invalid_sort_json: [400, 'Sort must be an array of sort specs'],
  invalid_sort_field: [400, 'Invalid sort field'],
  unsupported_mixed_sort: [400, 'Sorts currently only support a single direction for all fields.'],
  invalid_fields: [400, 'Fields must be an array of strings'],
  invalid_field: [400, 'Invalid JSON for field spec'],
  invalid_string: [400, 'Invalid string'],
  invalid_boolean: [400, 'Invalid boolean value'],
  invalid_pos_integer: [400, 'Not an integer greater than zero'],
  invalid_non_neg_integer: [400, 'Not an integer greater than or equal to zero'],
  invalid_index_name: [400, 'Invalid index name'],
  invalid_bookmark: [400, 'Invalid bookmark value'],
  invalid_index: [400, 'Index is missing its definition.'],
  invalid_bulk_docs: [400, 'Bulk Delete requires an array of non-null docids.'],
  invalid_list_index_params: [400, 'Index parameter ranges: limit > 1, skip > 0'],
  no_usable_index: [400, 'No index exists for this sort, try indexing by the sort fields.'],
})

/** A fault with what was wrong. */
export const wrong = (code: keyof typeof findFaults, reason: string, value: unknown): Fault =>
  findFaults[code]({ message: `${reason}: ${JSON.stringify(value)?.slice(0, 200)}` })

import type { StandardSchemaV1 } from '@standard-schema/spec'

/** A schema that tells its form as Standard JSON Schema does: https://standardschema.dev/json-schema */
export const toStandardJson = <Schema extends StandardSchemaV1>(
  schema: Schema,
  json: Record<string, unknown> | undefined,
): Schema => ({
  ...schema,
  '~standard': {
    ...schema['~standard'],
    jsonSchema: {
      input() {
        if (!json) throw new Error('it has no form in JSON Schema')
        return json
      },
      output: () => ({}),
    },
  },
})

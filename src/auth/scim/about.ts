import { most, urn } from './wire.ts'

/* What a directory asks about us (RFC 7643, 5 to 7). */

const schemaUrn = 'urn:ietf:params:scim:schemas:core:2.0'

export const config = (url: string) => ({
  schemas: [`${schemaUrn}:ServiceProviderConfig`],
  patch: { supported: true },
  bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
  filter: { supported: true, maxResults: most },
  changePassword: { supported: false },
  sort: { supported: false },
  etag: { supported: false },
  authenticationSchemes: [
    {
      type: 'oauthbearertoken',
      name: 'Bearer token',
      description: 'A token of the organization’s directory',
      primary: true,
    },
  ],
  meta: { resourceType: 'ServiceProviderConfig', location: `${url}/ServiceProviderConfig` },
})

export const resourceTypes = (url: string) => [
  {
    schemas: [`${schemaUrn}:ResourceType`],
    id: 'User',
    name: 'User',
    endpoint: '/Users',
    schema: urn.user,
    schemaExtensions: [{ schema: urn.enterprise, required: false }],
    meta: { resourceType: 'ResourceType', location: `${url}/ResourceTypes/User` },
  },
  {
    schemas: [`${schemaUrn}:ResourceType`],
    id: 'Group',
    name: 'Group',
    endpoint: '/Groups',
    schema: urn.group,
    meta: { resourceType: 'ResourceType', location: `${url}/ResourceTypes/Group` },
  },
]

const attribute = (name: string, more: object = {}) => ({
  name,
  type: 'string',
  multiValued: false,
  required: false,
  caseExact: false,
  mutability: 'readWrite',
  returned: 'default',
  uniqueness: 'none',
  ...more,
})

const complex = { type: 'complex' }

export const schemas = (url: string) =>
  [
    {
      id: urn.user,
      name: 'User',
      attributes: [
        attribute('userName', { required: true, uniqueness: 'server' }),
        attribute('externalId', { caseExact: true }),
        attribute('displayName'),
        attribute('active', { type: 'boolean' }),
        attribute('name', {
          ...complex,
          subAttributes: ['formatted', 'givenName', 'familyName'].map((name) => attribute(name)),
        }),
        attribute('emails', {
          ...complex,
          multiValued: true,
          subAttributes: [
            ...['value', 'type'].map((name) => attribute(name)),
            attribute('primary', { type: 'boolean' }),
          ],
        }),
        attribute('groups', {
          ...complex,
          multiValued: true,
          mutability: 'readOnly',
          subAttributes: ['value', 'display', '$ref'].map((name) =>
            attribute(name, { mutability: 'readOnly' }),
          ),
        }),
      ],
    },
    {
      id: urn.group,
      name: 'Group',
      attributes: [
        attribute('displayName', { required: true, uniqueness: 'server' }),
        attribute('externalId', { caseExact: true }),
        attribute('members', {
          ...complex,
          multiValued: true,
          subAttributes: ['value', 'display', '$ref', 'type'].map((name) => attribute(name)),
        }),
      ],
    },
  ].map((one) => ({
    schemas: [`${schemaUrn}:Schema`],
    ...one,
    meta: { resourceType: 'Schema', location: `${url}/Schemas/${one.id}` },
  }))

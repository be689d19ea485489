export { type GeocodeOptions, geocode } from './geocode.ts'
export { type LlmOptions, llm } from './llm.ts'

declare module '*.wasm' {
  // The type's own name, spelled out: the DOM library and Workers' types both have it.
  const module: WebAssembly.Module
  export default module
}

/** What the CLI cannot do, in words for the user: printed without a stack. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly exitCode: number

  /** @param exitCode 1 for what could not be done, 2 for a command line that makes no sense. */
  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

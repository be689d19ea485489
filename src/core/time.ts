/** @throws what `late` makes, if the work takes longer. The work goes on: nobody can stop it. */
export function inTime<T>(work: Promise<T>, milliseconds: number, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout>
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds)
  })
  return Promise.race([work, over]).finally(() => clearTimeout(timer))
}

// The options of stop().
/** Options of `StreamingContext.stop`. */
export interface StopOptions {
  /**
   * Whether everything that was received is processed and checkpointed before the promise resolves. Otherwise work in flight is given up; it is safe in the store.
   *
   * @defaultValue true
   */
  readonly graceful?: boolean;
  /**
   * Whether the `RddContext` is stopped too. Otherwise the next streaming context may use it.
   *
   * @defaultValue true
   */
  readonly rddContext?: boolean;
}

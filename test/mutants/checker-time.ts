/** The clock of a synchronous hunt: time passes when somebody waits, and not otherwise. */
export const virtual = {
  nowMs: 0,
  elapse(ms: number): void {
    virtual.nowMs += ms;
  },
};

/** A busy service says when to come again; whoever asks patiently does. */
const PATIENCE = 20;

/** Call, and again as long as the service is busy; `told` hears each time what it says, `signal` ends the waiting. */
export async function patiently(call, { signal, told = () => {}, attempts = PATIENCE } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (error.status !== 503 || attempt >= attempts) throw error;
      told(error.message);
      await new Promise((resolve) => { setTimeout(resolve, 1000 * Math.min(30, Math.max(0.5, error.retryAfter ?? 2))); });
      if (signal?.aborted) throw error;
    }
  }
}

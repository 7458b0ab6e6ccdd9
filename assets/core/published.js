// One value that many listen to: whoever publishes a new one tells them all.

// Returns {now, listen, publish}: `listen(listener)` calls it now and on each change, and returns what stops it.
export function published(first) {
  let value = first;
  const listeners = new Set();
  return {
    now: () => value,
    listen(listener) {
      listeners.add(listener);
      listener(value);
      return () => listeners.delete(listener);
    },
    publish(next) {
      value = next;
      listeners.forEach((listener) => listener(value));
    },
  };
}

// One table of keys for the whole page; the help panel and the command palette read the same table.

const bindings = [];

// bind("n", {group, label, run(event), when()}); `key` is KeyboardEvent.key, "Ctrl+k" for chords.
export function bind(key, entry) {
  const keys = [key].flat();
  const binding = { keys, ...entry };
  bindings.push(binding);
  return () => bindings.splice(bindings.indexOf(binding), 1);
}

export function table() {
  return bindings.filter((binding) => binding.label);
}

function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export function listen() {
  window.addEventListener("keydown", (event) => {
    const chord = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
    if (event.altKey || event.defaultPrevented) return;
    if (typing(event.target) && !chord && event.key !== "Escape") return;
    const key = chord + event.key;
    for (const binding of [...bindings].reverse()) {
      if (!binding.keys.includes(key) || (binding.when && !binding.when(event))) continue;
      if (binding.run(event) === false) continue;
      event.preventDefault();
      return;
    }
  });
}

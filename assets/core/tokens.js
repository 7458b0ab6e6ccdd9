// Coloured pieces of one line of IR, LLVM IR or assembly; every piece is a text node in a span.

import { el } from "./dom.js";

const IR = /(\/\/.*$)|(%[\w.]+|%"[^"]*"|@"[^"]*")|(@[\w.]+)|(\b(?:[fiuc]\d+|bf16|f8\w+|bool|string)(?:\([^)]*\))?\[[^\]]*\](?:@\w+(?:\+\d+)?)?)|("(?:[^"\\]|\\.)*")|(sha256:[0-9a-f]+)|(\b0x[0-9a-fA-F]+\b|-?\b\d+(?:\.\d+)?(?:e[-+]?\d+)?\b)|(\b(?:graph|program|const|state|next|return|input|output|weight|alloc|dealloc|view|from|out|inout|in|scratch|at|of|fill|halo)\b)|(\b[A-Z]\w*(?=\())|(^\s*[a-z_]\w*(?=\s+(?:out|inout|in)\s))/g;
const LLVM = /(;.*$)|(%[\w.$-]+)|(@[\w.$-]+|![\w.]+)|(<\s*(?:vscale x )?\d+ x \w+>|\b(?:i\d+|float|double|half|ptr|void)\b)|("[^"]*")|(#\d+)|(\b0x[0-9a-fA-FHKLMR]+\b|-?\b\d+(?:\.\d+)?(?:e[-+]?\d+)?\b)|(\b(?:define|declare|ret|br|label|align|nounwind|noalias|readonly|attributes|source_filename|target|phi|switch|to)\b)|(\b(?:load|store|getelementptr|fmul|fadd|fsub|fdiv|add|sub|mul|icmp|fcmp|select|call|tail|shufflevector|insertelement|extractelement|bitcast|zext|sext|trunc|fptosi|sitofp|and|or|xor|shl|lshr|ashr)\b)/g;
const ASM = /([#;].*$)|(%[a-z][\w]*)|(^\s*[.\w$]+:)|(\[[^\]]*\]|-?\w*\([^)]*\))|("[^"]*")|(\$-?\w+)|(\b0x[0-9a-fA-F]+\b|-?\b\d+\b)|(^\s*\.\w+)|(^\s*[a-z]\w*)/g;
const NAMES = ["comment", "name", "global", "type", "string", "hash", "value", "word", "op", "op"];
const PATTERNS = { ir: IR, llvm: LLVM, asm: ASM };
const LONGEST = 600; // beyond this a line is shown but not coloured

// Returns nodes for `line`; `language` is "ir", "llvm" or "asm".
export function pieces(line, language) {
  if (line.length > LONGEST) return [line];
  const pattern = PATTERNS[language];
  const nodes = [];
  let at = 0;
  pattern.lastIndex = 0;
  for (let match = pattern.exec(line); match; match = pattern.exec(line)) {
    if (match.index > at) nodes.push(line.slice(at, match.index));
    const group = match.findIndex((part, i) => i > 0 && part !== undefined);
    nodes.push(el(`span.t-${NAMES[group - 1]}`, {}, match[0]));
    at = match.index + match[0].length;
    if (!match[0].length) pattern.lastIndex += 1;
  }
  if (at < line.length) nodes.push(line.slice(at));
  return nodes;
}

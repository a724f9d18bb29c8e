/**
 * What stands in a chat's text, and how it is changed: docs/protocol.md, "The buffer". Pure functions of strings; what
 * they answer are edits, which an editor applies all at once.
 *
 * Places are found anew in the text as it is, by `OA_EVENT`, so that what the user types meanwhile cannot spoil them.
 */

export interface Edit {
  /** Where it begins, and how much it takes away, in UTF-16 units. */
  offset: number;
  length: number;
  text: string;
}

export interface Heading {
  offset: number;
  level: number;
  title: string;
  event?: string;
  act?: string;
  /** Where its text begins: after the drawer. */
  body: number;
}

export interface Layout {
  session?: string;
  headings: Heading[];
}

interface Line {
  text: string;
  offset: number;
  /** Where the next one begins. */
  next: number;
}

const USER = '* USER';
const ASSISTANT = '** ASSISTANT';

function drawer(key: string, id: string): string {
  return `:PROPERTIES:\n:${key}: ${id}\n:END:\n`;
}

function lines(text: string): Line[] {
  const all: Line[] = [];
  for (let offset = 0; offset < text.length; ) {
    const end = text.indexOf('\n', offset);
    const next = end < 0 ? text.length : end + 1;
    all.push({ text: text.slice(offset, next).replace(/\r?\n$/, ''), offset, next });
    offset = next;
  }
  return all;
}

/** The properties of the drawer whose first line is `at`, and the line after it. */
function properties(all: Line[], at: number): { values: Map<string, string>; after: number } {
  const values = new Map<string, string>();
  if (all[at]?.text !== ':PROPERTIES:') return { values, after: at };
  for (let number = at + 1; number < all.length; number++) {
    const line = all[number]?.text ?? '';
    if (line === ':END:') return { values, after: number + 1 };
    const found = /^:(\w+): +(\S+)\s*$/.exec(line);
    if (found?.[1] !== undefined && found[2] !== undefined) values.set(found[1], found[2]);
    else if (!line.startsWith(':')) break;
  }
  // Without an end it is no drawer.
  return { values: new Map(), after: at };
}

export function parse(text: string): Layout {
  const all = lines(text);
  const headings: Heading[] = [];
  all.forEach((line, number) => {
    const found = /^(\*+) (.*?)\s*$/.exec(line.text);
    if (found === null) return;
    const { values, after } = properties(all, number + 1);
    headings.push({
      offset: line.offset,
      level: found[1]?.length ?? 0,
      title: found[2] ?? '',
      event: values.get('OA_EVENT'),
      act: values.get('OA_ACT'),
      body: all[after]?.offset ?? text.length,
    });
  });
  return { session: properties(all, 0).values.get('OA_SESSION'), headings };
}

function isPrompt(heading: Heading): boolean {
  return heading.level === 1 && heading.title === 'USER';
}

/** The input area: the last prompt that was not sent. */
function input(layout: Layout): Heading | undefined {
  return layout.headings.filter((heading) => isPrompt(heading) && heading.event === undefined).at(-1);
}

/** What makes an input area at the end, if there is none. */
export function ensureInput(text: string): Edit[] {
  if (input(parse(text)) !== undefined) return [];
  const gap = text === '' || text.endsWith('\n') ? '' : '\n';
  return [{ offset: text.length, length: 0, text: `${gap}${USER}\n` }];
}

/** What is written in the input area, without blanks around it. */
export function draft(text: string): string {
  const area = input(parse(text));
  return area === undefined ? '' : text.slice(area.body).replaceAll('\r\n', '\n').trim();
}

/** The replies in the text. */
export function replies(text: string): string[] {
  return parse(text).headings.flatMap((heading) => heading.act ?? []);
}

/** `text` with exactly one line break at its end. */
function closed(text: string): string {
  return text.replace(/\n*$/, '\n');
}

/**
 * Makes the message `said`, which was sent, out of the input area, and a new area below it. What was written on since
 * is the new input; if it was rewritten, all of it is.
 */
export function writePrompt(text: string, session: string, event: string, said: string): Edit[] {
  const layout = parse(text);
  if (layout.headings.some((heading) => heading.event === event)) return [];
  const edits: Edit[] = [];
  if (layout.session === undefined) {
    const own = lines(text)[0];
    edits.push(
      own?.text === ':PROPERTIES:'
        ? { offset: own.next, length: 0, text: `:OA_SESSION: ${session}\n` }
        : { offset: 0, length: 0, text: drawer('OA_SESSION', session) },
    );
  }
  const area = input(layout);
  if (area === undefined) {
    const gap = text === '' || text.endsWith('\n') ? '' : '\n';
    edits.push({ offset: text.length, length: 0, text: `${gap}${USER}\n${drawer('OA_EVENT', event)}${closed(said)}${USER}\n` });
    return edits;
  }
  const written = text.slice(area.body);
  const before = written.length - written.trimStart().length;
  // Where `said` ends in the text, whose line breaks may be longer.
  const found = new RegExp(`^${said.split('\n').map(literally).join('\\r?\\n')}(?!\\S)`).exec(written.slice(before));
  if (said === '' || found === null) {
    edits.push({ offset: area.offset, length: 0, text: `${USER}\n${drawer('OA_EVENT', event)}${closed(said)}` });
    return edits;
  }
  const end = before + found[0].length;
  const rest = written.slice(end);
  const blank = rest.length - rest.trimStart().length;
  edits.push({ offset: area.body, length: before, text: drawer('OA_EVENT', event) });
  edits.push({ offset: area.body + end, length: blank, text: `\n${USER}\n` });
  return edits;
}

function literally(line: string): string {
  return line.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** Where a reply to `event` goes: before the next message, else before the input area. */
function place(text: string, layout: Layout, event: string | undefined): number {
  const own = event === undefined ? -1 : layout.headings.findIndex((heading) => heading.event === event);
  const next = own < 0 ? input(layout) : layout.headings.slice(own + 1).find(isPrompt);
  return next?.offset ?? text.length;
}

/** Puts a reply in; no edit if it is there. */
export function writeReply(text: string, event: string | undefined, act: string, said: string): Edit[] {
  const layout = parse(text);
  if (layout.headings.some((heading) => heading.act === act)) return [];
  const offset = place(text, layout, event);
  const gap = offset === 0 || text[offset - 1] === '\n' ? '' : '\n';
  return [{ offset, length: 0, text: `${gap}${ASSISTANT}\n${drawer('OA_ACT', act)}${closed(said)}` }];
}

/** Takes away what answered `event`. */
export function removeReplies(text: string, event: string): Edit[] {
  const layout = parse(text);
  const own = layout.headings.findIndex((heading) => heading.event === event);
  const end = place(text, layout, event);
  const first = own < 0 ? undefined : layout.headings.slice(own + 1).find((heading) => heading.act !== undefined);
  if (first === undefined || first.offset >= end) return [];
  return [{ offset: first.offset, length: end - first.offset, text: '' }];
}

/** Where the preview of a reply to `event` is shown: at the end of this line. */
export function previewOffset(text: string, event: string | undefined): number {
  return Math.max(0, place(text, parse(text), event) - 1);
}

/** The reply around `offset`. */
export function replyAt(text: string, offset: number): string | undefined {
  const marked = (heading: Heading) => heading.offset <= offset && (heading.act !== undefined || heading.event !== undefined);
  return parse(text).headings.filter(marked).at(-1)?.act;
}

/** `edits` carried out. Their offsets are those of `text`; they do not overlap, and those at one place keep their order. */
export function apply(text: string, edits: Edit[]): string {
  const sorted = [...edits].reverse().sort((one, other) => other.offset - one.offset);
  return sorted.reduce((all, edit) => all.slice(0, edit.offset) + edit.text + all.slice(edit.offset + edit.length), text);
}

/**
 * A command for a dialog: behind bars, so that none of its lines can pass for one of ours, with codes for what does not
 * show or shows as something else.
 */
export function legible(command: string): string {
  return command
    .split('\n')
    .map((line) => `| ${line.replace(HIDDEN, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`)}`)
    .join('\n');
}

/** Controls, format characters, what is unassigned, blanks but the plain one, and letters that show as nothing. */
const HIDDEN =
  /(?! )[\p{C}\p{Z}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0]/gu;

/** A text in one line. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
}

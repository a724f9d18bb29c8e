/**
 * The chat in VS Code: a thin layer that gives documents and windows to `chat.ts`.
 *
 * - A preview is a decoration: the end of it behind the message, all of it when the mouse is there. It is in no text.
 * - A reply is one `WorkspaceEdit`, computed from the text as it is, and computed anew if the user was faster.
 * - A command is shown in a modal dialog, which shows plain text and no links, and only after the user asked to see it: a
 *   dialog that came up by itself could be answered by a key that was meant for the text.
 * - What came from the server or a model is data. In messages, where VS Code makes links of `[text](target)`, that is
 *   taken apart; in the status bar only states appear.
 */

import { isUtf8 } from 'node:buffer';
import { execFile } from 'node:child_process';
import * as vscode from 'vscode';
import { Chats, words, type Chat, type Document, type Host } from './chat';
import type { Turn } from './client';
import * as layout from './layout';
import type { Context } from './protocol';

/** What goes along with a message at most, as the server takes it. */
const CONTEXT = { items: 32, bytes: 1024 * 1024 };

/** `text` for a message: on one line, short, and without links. */
function plain(text: string): string {
  const line = text.replace(/\s+/g, ' ').replaceAll('](', '] (');
  return line.length > 500 ? `${line.slice(0, 500)}...` : line;
}

/** A document of VS Code as chats see it. */
class EditorDocument implements Document {
  constructor(readonly document: vscode.TextDocument) {}

  text(): string {
    return this.document.getText();
  }

  async apply(edits: layout.Edit[]): Promise<boolean> {
    const edit = new vscode.WorkspaceEdit();
    for (const { offset, length, text } of edits) {
      const range = new vscode.Range(this.document.positionAt(offset), this.document.positionAt(offset + length));
      edit.replace(this.document.uri, range, text);
    }
    // VS Code refuses it if the document's version is another one by then.
    return vscode.workspace.applyEdit(edit);
  }
}

class Extension implements Host {
  private readonly chats = new Chats(this);
  private readonly byDocument = new Map<vscode.TextDocument, Chat>();
  private readonly status = vscode.window.createStatusBarItem(vscode.StatusBarAlignment.Left);
  private readonly preview = vscode.window.createTextEditorDecorationType({
    after: { color: new vscode.ThemeColor('editorGhostText.foreground'), fontStyle: 'italic', margin: '0 0 0 2em' },
  });
  /** Commands that the user was told of. */
  private readonly told = new Set<string>();
  private readonly pages = new Map<string, string>();
  private drawing?: NodeJS.Timeout;

  constructor(context: vscode.ExtensionContext) {
    const commands: Record<string, () => Promise<void>> = {
      chat: () => this.open(false),
      newChat: () => this.open(true),
      send: () => this.send(),
      cancel: () => this.here().cancel(),
      retry: () => this.here().retry(),
      decide: () => this.decide(this.here()),
      why: () => this.why(),
      sessions: () => this.pick(),
      doctor: () => this.doctor(),
    };
    for (const [name, run] of Object.entries(commands)) {
      context.subscriptions.push(
        vscode.commands.registerCommand(`orgAgent.${name}`, () => run().catch((error: unknown) => this.complain(words(error)))),
      );
    }
    this.status.command = 'orgAgent.cancel';
    context.subscriptions.push(
      this.status,
      this.preview,
      vscode.window.onDidChangeActiveTextEditor(() => this.show()),
      vscode.window.onDidChangeVisibleTextEditors(() => this.show()),
      vscode.workspace.onDidCloseTextDocument((document) => this.forget(document)),
      vscode.workspace.registerTextDocumentContentProvider('org-agent', {
        provideTextDocumentContent: (uri) => this.pages.get(uri.path) ?? '',
      }),
      vscode.languages.registerCompletionItemProvider(
        { language: 'org' },
        { provideCompletionItems: (document, position) => this.complete(document, position) },
        '/',
      ),
    );
  }

  stop(): Promise<void> {
    clearTimeout(this.drawing);
    return this.chats.stop();
  }

  // What chats ask for.

  options() {
    const settings = vscode.workspace.getConfiguration('orgAgent');
    return { program: settings.get('program', 'org-agent'), restarts: settings.get('restarts', 3) };
  }

  changed(chat: Chat, turn?: Turn): void {
    // Pieces of a preview come every few milliseconds; several are drawn at once.
    this.drawing ??= setTimeout(() => {
      this.drawing = undefined;
      this.show();
    }, 40);
    const question = turn?.question;
    if (question !== undefined && !this.told.has(question.id)) {
      this.told.add(question.id);
      void vscode.window.showWarningMessage('org-agent: a command waits for your decision.', 'Show It').then((answer) => {
        if (answer !== undefined) this.decide(chat).catch((error: unknown) => this.complain(words(error)));
      });
    }
    // What failed has its System Error in the text, unless it was cut off.
    if (turn?.state === 'failed' && !turn.replied && !this.told.has(turn.id)) {
      this.told.add(turn.id);
      this.complain(`the turn failed: ${turn.reason ?? 'no reason given'}. "Ask Again" asks again`);
    }
  }

  tell(message: string): void {
    void vscode.window.showInformationMessage(`org-agent: ${plain(message)}`);
  }

  complain(message: string): void {
    void vscode.window.showErrorMessage(`org-agent: ${plain(message)}`);
  }

  // What the user asks for.

  private here(): Chat {
    const document = vscode.window.activeTextEditor?.document;
    const chat = document && this.byDocument.get(document);
    if (chat === undefined) throw new Error('this is no chat; "Open the Chat" opens one');
    return chat;
  }

  private async open(anew: boolean): Promise<void> {
    const active = vscode.window.activeTextEditor?.document;
    if (!anew && active !== undefined && !this.byDocument.has(active) && layout.parse(active.getText()).session !== undefined) {
      await this.adopt(active);
      return;
    }
    const existing = anew ? undefined : [...this.byDocument.keys()].at(-1);
    if (existing !== undefined) await vscode.window.showTextDocument(existing);
    else await this.adopt(await vscode.workspace.openTextDocument({ language: 'org', content: '* USER\n' }));
  }

  /** Makes a chat of a document, and goes to its end. */
  private async adopt(document: vscode.TextDocument): Promise<void> {
    const editor = await vscode.window.showTextDocument(document);
    const directory = vscode.workspace.workspaceFolders?.find((folder) => folder.uri.scheme === 'file')?.uri.fsPath;
    const chat = await this.chats.open(new EditorDocument(document), directory);
    this.byDocument.set(document, chat);
    const end = document.positionAt(document.getText().length);
    editor.selection = new vscode.Selection(end, end);
    this.show();
  }

  private forget(document: vscode.TextDocument): void {
    const chat = this.byDocument.get(document);
    if (chat !== undefined) this.chats.close(chat);
    this.byDocument.delete(document);
    if (document.uri.scheme === 'org-agent') this.pages.delete(document.uri.path);
  }

  private async send(): Promise<void> {
    const chat = this.here();
    await chat.send(await this.mentioned(chat));
  }

  /** The files of the workspace that the message names with `@`. */
  private async mentioned(chat: Chat): Promise<Context[]> {
    const items: Context[] = [];
    const root = chat.directory === undefined ? undefined : vscode.Uri.file(chat.directory);
    const names = new Set(layout.draft(chat.document.text()).match(/(?<=^|\s)@[^\s]+/g) ?? []);
    for (const name of root === undefined ? [] : names) {
      const uri = vscode.Uri.joinPath(root as vscode.Uri, name.slice(1));
      const bytes = await Promise.resolve(vscode.workspace.fs.readFile(uri)).catch(() => undefined);
      // What leads out of the workspace does not go along.
      if (bytes === undefined || !uri.path.startsWith(`${root?.path}/`)) continue;
      if (bytes.length > CONTEXT.bytes || items.length === CONTEXT.items) throw new Error(`${name} is too large, or one file too many`);
      if (!isUtf8(bytes)) throw new Error(`${name} is no text`);
      items.push({ kind: 'file', name: name.slice(1), text: new TextDecoder().decode(bytes) });
    }
    return items;
  }

  /** Shows the command that waits, and asks. To dismiss the dialog decides nothing: the command waits on. */
  private async decide(chat: Chat): Promise<void> {
    const turn = chat.waiting();
    const question = turn?.question;
    if (turn === undefined || question === undefined || chat.client === undefined) throw new Error('no command waits here');
    const lines: string[] = [];
    const about = { Why: question.explanation, Directory: question.directory, Sandbox: question.sandbox, Rule: question.rule };
    for (const [name, value] of Object.entries(about)) if (value) lines.push(`${name}: ${layout.oneLine(value)}`);
    if (question.always) lines.push(`Always would save: ${layout.oneLine(question.always)}`);
    lines.push('', layout.legible(question.command));
    const choices = ['Deny', 'Run', ...(question.command.includes('\n') ? [] : ['Edit']), ...(question.always ? ['Always'] : [])];
    const answer = await vscode.window.showWarningMessage('Run this command?', { modal: true, detail: lines.join('\n') }, ...choices);
    if (answer === undefined) return;
    let edited: string | undefined;
    if (answer === 'Edit') {
      edited = await vscode.window.showInputBox({ title: 'Run', value: question.command, ignoreFocusOut: true });
      if (edited === undefined || edited === '') return;
    }
    const choice = answer === 'Deny' ? 'deny' : answer === 'Always' ? 'always' : 'run';
    const result = await chat.client.decide(turn, choice, edited);
    if (result.decision === 'ask') await this.decide(chat);
    if (result.saved === false) this.tell(`it runs this once, and nothing was saved: ${result.hint ?? ''}`);
  }

  private async why(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    const offset = editor?.document.offsetAt(editor.selection.active) ?? 0;
    await this.page('/why.org', await this.here().why(offset), 'org');
  }

  /** Shows a text that is nobody's file, and that nobody can change. */
  private async page(path: string, text: string, language: string): Promise<void> {
    const name = path.replace('.', `-${this.pages.size + 1}.`);
    this.pages.set(name, text);
    const document = await vscode.workspace.openTextDocument(vscode.Uri.from({ scheme: 'org-agent', path: name }));
    await vscode.window.showTextDocument(await vscode.languages.setTextDocumentLanguage(document, language), { preview: true });
  }

  private async pick(): Promise<void> {
    const items = (await this.chats.sessions()).map((item) => ({
      // In a quick pick `$(name)` is an icon.
      label: item.title.replaceAll('$(', '$ ('),
      description: `${item.status}, ${item.messages} messages`,
      id: item.id,
    }));
    const item = await vscode.window.showQuickPick(items, { placeHolder: 'Session' });
    if (item === undefined) return;
    const open = [...this.byDocument].find(([, chat]) => chat.session === item.id);
    if (open !== undefined) await vscode.window.showTextDocument(open[0]);
    else await this.adopt(await vscode.workspace.openTextDocument({ language: 'org', content: await this.chats.transcript(item.id) }));
  }

  private async doctor(): Promise<void> {
    const { program } = this.options();
    const said = await new Promise<string>((resolve) => {
      execFile(program, ['doctor'], (error, stdout, stderr) => {
        const failed = error !== null && stdout === '' ? `${program} cannot be run: ${error.message}\n` : '';
        resolve(failed + stdout + stderr);
      });
    });
    await this.page('/doctor.txt', said, 'plaintext');
  }

  private async complete(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.CompletionItem[]> {
    const chat = this.byDocument.get(document);
    const before = document.lineAt(position).text.slice(0, position.character);
    if (chat === undefined || !/^\/\S*$/.test(before) || !layout.draft(document.getText()).startsWith(before)) return [];
    return (await this.chats.skills(chat.directory)).map((skill) => {
      const item = new vscode.CompletionItem(`/${skill.name}`, vscode.CompletionItemKind.Function);
      item.detail = skill.description;
      item.range = new vscode.Range(position.with({ character: 0 }), position);
      return item;
    });
  }

  // What is shown.

  private show(): void {
    const active = vscode.window.activeTextEditor?.document;
    const here = active && this.byDocument.get(active);
    void vscode.commands.executeCommand('setContext', 'orgAgent.isChat', here !== undefined);
    for (const editor of vscode.window.visibleTextEditors) {
      const chat = this.byDocument.get(editor.document);
      if (chat !== undefined) editor.setDecorations(this.preview, this.decorations(editor.document, chat));
    }
    const turn = here?.live()[0];
    if (turn === undefined) return this.status.hide();
    this.status.text = `$(sync~spin) org-agent: ${turn.state}`;
    this.status.tooltip = 'Cancel';
    this.status.show();
  }

  private decorations(document: vscode.TextDocument, chat: Chat): vscode.DecorationOptions[] {
    const text = document.getText();
    return chat.live().flatMap((turn) => {
      if (turn.preview === '' && turn.question === undefined) return [];
      const at = document.positionAt(layout.previewOffset(text, turn.event));
      const shown = turn.question === undefined ? turn.preview.replace(/\s+/g, ' ').slice(-120) : 'a command waits for your decision';
      // As code, and not trusted: nothing in it is a link or a picture.
      const hover = new vscode.MarkdownString().appendCodeblock(turn.question?.command ?? turn.preview, 'plaintext');
      return [{ range: new vscode.Range(at, at), hoverMessage: hover, renderOptions: { after: { contentText: shown } } }];
    });
  }
}

let extension: Extension | undefined;

export function activate(context: vscode.ExtensionContext): void {
  extension = new Extension(context);
}

export async function deactivate(): Promise<void> {
  await extension?.stop();
}

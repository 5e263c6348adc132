import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ExitCode } from '../exit-codes.ts';
import type { Terminal } from '../terminal/index.ts';
import { addCtlCommands } from './ctl-commands.ts';
import { addWorker } from './queue-commands.ts';
import { addJsonOption, addManagerOption, addPageOptions, addServerOptions, addTurnOptions } from './shared-options.ts';

type Finish = (exitCode: ExitCode) => void;

/** Adds `ocm serve`, `ocm worker`, `ocm attach` and the clients of a running manager. */
export function addManagerCommands(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  program.commandsGroup('Serve and control:');
  addServe(program, terminal, finish);
  addWorker(program, terminal, finish);
  addAttach(program, terminal, finish);
  addSessions(program, terminal, finish);
  addEvents(program, terminal, finish);
  addTurns(program, terminal, finish);
  addRevert(program, terminal, finish);
  addAbort(program, terminal, finish);
  addSession(program, terminal, finish);
  addCtlCommands(program, terminal, finish);
}

function addServe(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const serve = program
    .command('serve')
    .summary('keep a server until Ctrl-C')
    .description(
      'Keeps an isolated server and a pool of sessions until Ctrl-C. Other commands reach it through a Unix socket that only you can open. Default profile: interactive.',
    );
  addTurnOptions(serve);
  addServerOptions(serve);
  addPageOptions(serve);
  addJsonOption(serve);
  serve.action(async (flags) => {
    const { serve: action } = await import('../commands/serve.ts');
    finish(await action(terminal, flags));
  });
}

function addAttach(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const attach = program
    .command('attach')
    .summary("open opencode's interface")
    .description(
      "Starts opencode's own terminal interface on the server of a running manager. It also has a private home: your own opencode is neither read nor written.",
    )
    .option('--session <id>', 'the session to open')
    .option('--binary <path>', 'opencode binary (default: OPENCODE_BIN, PATH, the package opencode-ai)');
  addManagerOption(attach);
  attach.action(async (flags) => {
    const { attach: action } = await import('../commands/attach.ts');
    finish(await action(terminal, flags));
  });
}

function addSessions(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const sessions = program.command('sessions').summary('list sessions').description('Lists the sessions of a running manager.');
  addManagerOption(sessions);
  addJsonOption(sessions);
  sessions.action(async (flags) => {
    const { sessions: action } = await import('../commands/sessions.ts');
    finish(await action(terminal, flags));
  });
}

function addEvents(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const events = program
    .command('events')
    .summary('follow events')
    .description('Follows the events of a running manager until Ctrl-C.')
    .optionsGroup('Filter:')
    .option('--session <id...>', 'sessions to follow (default: all)')
    .option('--type <pattern...>', 'event types, with * as wildcard: session.*, *.asked')
    .option('-d, --directory <dir>', 'directory, with * as wildcard')
    .option('--plane <name>', 'lifecycle or stream')
    .option('--limit <n>', 'stop after this many events');
  addManagerOption(events);
  addJsonOption(events);
  events.action(async (flags) => {
    const { events: action } = await import('../commands/events.ts');
    finish(await action(terminal, flags));
  });
}

function addTurns(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const prompt = program
    .command('prompt')
    .summary('send a prompt')
    .description('Sends a prompt to a session and prints the answer. Earlier turns of the session finish first.')
    .argument('<session>', 'id of a session, or new')
    .argument('<text>', 'the prompt; - reads standard input')
    .option('--stream', 'print the answer while it comes, and on standard error what the model thinks')
    .option('--no-reasoning', 'with --stream: without what the model thinks');
  addTurnClientOptions(prompt);
  prompt.action(async (session, text, flags) => {
    const { prompt: action } = await import('../commands/turns.ts');
    finish(await action(terminal, session, text, flags));
  });

  addCommand(program, terminal, finish);
  const shell = program
    .command('shell')
    .summary('run a shell line')
    .description("Runs a shell line in a session's directory, as !line does in the TUI; no model is asked.")
    .argument('<session>', 'id of a session, or new')
    .argument('<line...>', 'the line; put -- before words that start with a dash');
  addTurnClientOptions(shell, true);
  shell.action(async (session, line, flags) => {
    const { shell: action } = await import('../commands/turns.ts');
    finish(await action(terminal, session, line, flags));
  });
}

function addCommand(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  // `exec` is its name of before.
  for (const name of ['command', 'exec']) {
    const command = program
      .command(name, { hidden: name === 'exec' })
      .summary('run a configured command')
      .description('Runs a command of the configuration in a session, as /name does in the TUI.')
      .argument('<session>', 'id of a session, or new')
      .argument('<command>', 'name of the command')
      .argument('[arguments...]', 'its arguments; put -- before those that start with a dash');
    addTurnClientOptions(command, true);
    command.action(async (session, called, args, flags) => {
      const { command: action } = await import('../commands/turns.ts');
      finish(await action(terminal, session, called, args, flags));
    });
  }
}

function addTurnClientOptions(command: CommandUnknownOpts, isLong = false): void {
  command
    .option('--timeout <duration>', 'timeout of the turn, such as 90s or 5m')
    .option(isLong ? '--directory <dir>' : '-d, --directory <dir>', 'with new: where the session works');
  addManagerOption(command);
  addJsonOption(command, isLong);
}

function addRevert(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const revert = program
    .command('revert')
    .summary('take back messages, files')
    .description('Restores a session and its files to the state before a message. Needs the profile interactive and a git repository.')
    .argument('<session>', 'id of the session')
    .argument('[message]', 'id of the message (default: the newest user message)')
    .option('--undo', 'undo the last revert')
    .option('--force', 'revert even if this undoes work of other sessions or later changes');
  addManagerOption(revert);
  addJsonOption(revert);
  revert.action(async (session, message, flags) => {
    const { revert: action } = await import('../commands/revert.ts');
    finish(await action(terminal, session, message, flags));
  });
}

function addAbort(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const abort = program
    .command('abort')
    .summary('end the turn of a session')
    .description('Aborts the turn of a session and waits until it is idle.')
    .argument('<session>', 'id of the session');
  addManagerOption(abort);
  addJsonOption(abort);
  abort.action(async (session, flags) => {
    const { abort: action } = await import('../commands/abort.ts');
    finish(await action(terminal, session, flags));
  });
}

function addSession(program: CommandUnknownOpts, terminal: Terminal, finish: Finish): void {
  const session = program
    .command('session')
    .summary('delete sessions')
    .description('Changes sessions of a running manager.')
    .helpCommand(false);
  const remove = session
    .command('delete')
    .summary('delete sessions, with their messages')
    .description(
      'Deletes sessions of a running manager, with their messages and sub-agents; files stay as they are. A turn of a client is aborted first; a session that a task works in is refused. One that is gone already is no error.',
    )
    .argument('<session...>', 'ids of sessions');
  addManagerOption(remove);
  addJsonOption(remove);
  remove.action(async (sessions, flags) => {
    const { deleteSessions: action } = await import('../commands/delete-sessions.ts');
    finish(await action(terminal, sessions, flags));
  });
}

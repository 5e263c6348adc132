import * as z from 'zod';

/** Longest delay that can be scripted: one hour. */
const maxDelayMs = 3_600_000;

const textMatchSchema = z
  .union([
    z.string(),
    z.strictObject({
      contains: z.string().optional().describe('The text has this in it; upper and lower case count.'),
      equals: z.string().optional().describe('The text is exactly this.'),
      matches: z.string().optional().describe('A regular expression; its groups are available as placeholders.'),
      flags: z
        .string()
        .regex(/^[imsu]*$/)
        .optional()
        .describe('Flags of the regular expression: i, m, s, u.'),
    }),
  ])
  .describe('A text that must be contained, or an object with contains, equals or matches; all that are given must hold.');

export const purposes = ['turn', 'title', 'summary'] as const;

const callRangeSchema = z.union([z.int().min(1), z.strictObject({ from: z.int().min(1).optional(), to: z.int().min(1).optional() })]);

export const conditionSchema = z
  .strictObject({
    user: textMatchSchema.optional().describe("The text of the conversation's last user message."),
    system: textMatchSchema.optional().describe('The system prompt.'),
    history: textMatchSchema.optional().describe('All texts of the conversation but the system prompt, oldest first.'),
    toolResult: textMatchSchema.optional().describe('The call follows a tool result with this text. An empty string: with any.'),
    afterTool: z.string().min(1).optional().describe('The call follows the result of the tool of this name.'),
    step: z.int().min(0).optional().describe('Which call of the turn: 0 answers the prompt, 1 the first tool result, and so on.'),
    turn: z.int().min(1).optional().describe('Which turn of the conversation, from 1.'),
    call: callRangeSchema.optional().describe('Which of the calls that match the other conditions, counted from 1: a number or a range.'),
    model: z.string().min(1).optional().describe('The name of the model that was asked for.'),
    tools: z.boolean().optional().describe('Whether tools were offered.'),
    offersTool: z.string().min(1).optional().describe('A tool of this name was offered.'),
    stream: z.boolean().optional().describe('Whether a stream was asked for.'),
    purpose: z
      .enum(purposes)
      .optional()
      .describe('What opencode asks for. Rules without it answer turns alone; titles and summaries have answers of their own.'),
  })
  .describe('What a call must look like; all that are given must hold.');

const toolCallSchema = z.strictObject({
  name: z.string().min(1).describe('The name of the tool, for example bash, read, edit or write.'),
  arguments: z
    .union([z.record(z.string(), z.unknown()), z.string()])
    .optional()
    .describe('An object, or a string that is sent as it is (also when it is no JSON). Default: {}.'),
});

const usageSchema = z
  .strictObject({
    inputTokens: z.int().min(0).optional(),
    outputTokens: z.int().min(0).optional(),
    reasoningTokens: z.int().min(0).optional(),
    cachedTokens: z.int().min(0).optional(),
  })
  .describe('Token counts to report. Default: input from the length of the conversation, output from the number of tokens sent.');

const errorReplySchema = z
  .strictObject({
    status: z.int().min(400).max(599).describe('The HTTP status.'),
    message: z.string().optional().describe('The message in an error body as OpenAI writes it.'),
    type: z.string().optional().describe('The type in that body.'),
    code: z.string().optional().describe('The code in that body.'),
    body: z.unknown().optional().describe('The whole body in place of that: a string as it is, anything else as JSON.'),
    contentType: z.string().optional().describe('Default: application/json.'),
    retryAfterSeconds: z.number().min(0).optional().describe('Sends the header retry-after.'),
    retryAfterMs: z.int().min(0).optional().describe('Sends the header retry-after-ms.'),
  })
  .describe('Answers with an HTTP error.');

export const faults = [
  'hang-before-headers',
  'hang-after-headers',
  'hang-mid-stream',
  'cut-before-headers',
  'cut-mid-stream',
  'no-finish',
  'malformed-json',
  'error-in-stream',
  'empty',
  'html',
  'context-overflow',
] as const;

const replyFields = {
  text: z.string().optional().describe('The text to say. Placeholders in double braces are filled in.'),
  chunks: z.array(z.string()).min(1).optional().describe('The text in exactly these pieces, in place of text.'),
  reasoning: z.string().optional().describe('Reasoning text, sent before the text.'),
  toolCalls: z.array(toolCallSchema).min(1).optional().describe('Tools to call, after the text.'),
  tokensPerSecond: z
    .number()
    .positive()
    .max(100_000)
    .optional()
    .describe('How fast text and reasoning stream, a word being a token. Default: at once.'),
  delayMs: z.int().min(0).max(maxDelayMs).optional().describe('How long to wait before the first byte.'),
  finish: z
    .enum(['stop', 'length', 'tool_calls', 'content_filter'])
    .optional()
    .describe('The finish reason. Default: tool_calls with tool calls, else stop.'),
  usage: usageSchema.optional(),
  error: errorReplySchema.optional(),
  fault: z.enum(faults).optional().describe('Something that goes wrong with the answer.'),
  afterChunks: z.int().min(0).optional().describe('With a mid-stream fault: how many chunks go out before it. Default: half of them.'),
};

export const replySchema = z.strictObject(replyFields).superRefine(checkReply).describe('What the model answers.');

const oneOrMoreReplies = z
  .union([z.string(), replySchema, z.array(z.union([z.string(), replySchema])).min(1)])
  .describe('A text, a reply, or a list: the first answers the prompt, each next one the tool results of the one before.');

export const ruleSchema = z.strictObject({
  name: z.string().min(1).optional().describe('Shown in the record and in errors.'),
  when: conditionSchema.optional().describe('Absent: every call of a turn.'),
  reply: oneOrMoreReplies,
  times: z.int().min(1).optional().describe('Answers at most this many calls; then later rules have their turn.'),
  countPer: z
    .enum(['script', 'session'])
    .optional()
    .describe('What times and when.call count over: the whole script (default) or each opencode session.'),
  repeat: z.boolean().optional().describe('Begin the list of replies again when it is over: an endless tool loop. Default: false.'),
});

const modelSchema = z.strictObject({
  contextTokens: z.int().min(1).optional().describe('Context limit told to opencode. Default: 200000.'),
  outputTokens: z.int().min(1).optional().describe('Output limit told to opencode. Default: 32000.'),
  inputUsdPerMillion: z
    .number()
    .min(0)
    .optional()
    .describe('Price told to opencode, in US dollars for a million input tokens. Default: none.'),
  outputUsdPerMillion: z
    .number()
    .min(0)
    .optional()
    .describe('Price told to opencode, in US dollars for a million output tokens. Default: none.'),
});

/** A script as it stands in a file. `schema/script.json` is generated from this. */
export const scriptSchema = z
  .strictObject({
    $schema: z.string().optional(),
    description: z.string().optional(),
    rules: z.array(ruleSchema).optional().describe('The first rule that matches answers.'),
    default: z.union([z.string(), replySchema]).optional().describe('Answers calls of turns that no rule matches.'),
    title: z.string().optional().describe('Answers requests for a title. Default: "Scripted session".'),
    summary: z.string().optional().describe('Answers requests for a summary of the conversation.'),
    tokensPerSecond: z.number().positive().max(100_000).optional().describe('Rate of replies that name none themselves. Default: at once.'),
    model: modelSchema.optional(),
  })
  .describe('A script for the scripted model of opencode-manager.');

type ReplyFields = z.output<z.ZodObject<typeof replyFields, z.core.$strict>>;

/** Combinations that say two things at once are refused, so that a script never means less than it says. */
function checkReply(reply: ReplyFields, context: z.RefinementCtx): void {
  const says = reply.text ?? reply.chunks ?? reply.toolCalls ?? reply.reasoning;
  const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
  if (reply.text !== undefined && reply.chunks !== undefined) complain('chunks', 'give either text or chunks, not both');
  if (reply.error !== undefined && (says !== undefined || reply.fault !== undefined))
    complain('error', 'an error answers alone; take text, chunks, reasoning, toolCalls and fault away');
  if (says === undefined && reply.error === undefined && reply.fault === undefined)
    complain('text', 'a reply needs text, chunks, reasoning, toolCalls, error or fault');
  if (reply.afterChunks !== undefined && !reply.fault?.endsWith('mid-stream'))
    complain('afterChunks', 'only counts with a mid-stream fault');
}

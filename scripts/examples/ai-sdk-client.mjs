// Calls a server with the AI SDK, as `scripts/test-serve-clients ai-sdk` runs it:
//   SERVER=http://127.0.0.1:8080 LM=NAME WRITTEN='{"user", "item", "seed", "text"}' node ai-sdk-client.mjs
// Packages: ai@6.0.326 @ai-sdk/openai-compatible@2.0.92 @ai-sdk/openai@3.0.141 zod@4
import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embedMany, generateText, Output, streamText } from 'ai';
import { z } from 'zod';

const { SERVER, LM, ENCODER, WRITTEN } = process.env;
const baseURL = `${SERVER}/v1`;
const local = createOpenAICompatible({ name: 'local', baseURL, supportsStructuredOutputs: true });

const ask = { prompt: 'Name a colour.', maxOutputTokens: 12, seed: 1, maxRetries: 0 };
const whole = await generateText({ model: local(LM), ...ask });
assert.ok(whole.text && whole.usage.outputTokens <= 12);

const stream = streamText({ model: local(LM), ...ask });
let text = '';
for await (const piece of stream.textStream) text += piece;
assert.equal(text, whole.text);
assert.ok(['stop', 'length'].includes(await stream.finishReason));

// The first of the SDK's providers calls /v1/responses.
const openai = createOpenAI({ baseURL, apiKey: 'none' });
const { seed: _, ...unseeded } = ask;
assert.ok((await generateText({ model: openai(LM), ...unseeded })).text);
let events = 0;
for await (const _ of streamText({ model: openai(LM), ...unseeded }).textStream) events += 1;
assert.ok(events > 0);
assert.ok((await generateText({ model: openai.chat(LM), ...ask })).text);

const output = Output.object({ schema: z.object({ name: z.string(), is_warm: z.boolean() }) });
const form = await generateText({ model: local(LM), ...ask, maxOutputTokens: 80, temperature: 0, output });
assert.equal(typeof form.output.is_warm, 'boolean');

const vectors = await embedMany({ model: local.textEmbeddingModel(ENCODER), values: ['a kettle', 'a lamp'] });
assert.deepEqual(vectors.embeddings.map((vector) => vector.length), [384, 384]);

const wanted = JSON.parse(WRITTEN);
const personal = await generateText({
  model: local(`${LM}+idiolect`),
  prompt: 'It is about the item.',
  seed: wanted.seed,
  maxOutputTokens: 40,
  maxRetries: 0,
  providerOptions: { local: { user: wanted.user, idiolect: { item: wanted.item } } },
});
assert.equal(personal.text, wanted.text);
await assert.rejects(generateText({ model: local('gpt-4o'), ...ask }), (error) => error.statusCode === 404);

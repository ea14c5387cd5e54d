// BullMQ, on Node. The same verbs and the same tally as the Python peers; see agent.py and tally.py.
//
// /// script
// dependencies = ["bullmq@6.7.0", "ioredis@6.0.0"]
// [tool.bench]
// name = "BullMQ"
// imports = "require(\"bullmq\")"
// delivery = "at least once"
// handlers = ["async"]
// enqueues = ["bulk", "concurrent", "one_async"]
// keeps_completed = true
// setting = "Node, removeOnComplete; addBulk by 1,000"
// ///
"use strict";
const fs = require("node:fs");
const { Queue, Worker } = require("bullmq");
const Redis = require("ioredis");

const env = process.env;
const CONCURRENCY = Number(env.BENCH_CONCURRENCY || 100);
const SLEEP_MS = 1000 * Number(env.BENCH_SLEEP || 0);
const KEEP = Number(env.BENCH_KEEP || 0);
const JOBS = Number(env.BENCH_JOBS || 0);
const QUEUE = "bench";
const TEXT = "x".repeat(42);
const IN_FLIGHT = 1000;
const PAUSE_MS = 4;
const LATE_MS = 10_000;
const FLUSH_MS = 5;
const BULK = 1000;

const now = () => process.hrtime.bigint();
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const connect = () => new Redis(env.BENCH_REDIS, { maxRetriesPerRequest: null });
const options = { removeOnComplete: KEEP ? false : true };

// Node cannot map files: the marks are kept in memory and what changed is written to the file every FLUSH_MS.
class Tally {
  constructor() {
    this.file = fs.openSync(env.BENCH_TALLY, "r+");
    this.bytes = Buffer.alloc(JOBS * 10);
    this.times = new BigUint64Array(this.bytes.buffer, this.bytes.byteOffset, JOBS);
    this.clear();
  }
  clear() {
    this.low = JOBS;
    this.high = -1;
  }
  touch(n) {
    if (n < this.low) this.low = n;
    if (n > this.high) this.high = n;
  }
  begin(n) {
    this.add(8 * JOBS + n);
  }
  mark(n) {
    this.times[n] = now();
    if (SLEEP_MS) {
      fs.writeSync(this.file, this.bytes, 8 * n, 8, 8 * n);
      this.add(9 * JOBS + n);
    } else {
      this.bytes[9 * JOBS + n] += 1;
      this.touch(n);
    }
  }
  // For jobs that take a while, and that a killed process may have begun before: read, add, write at once.
  add(at) {
    fs.readSync(this.file, this.bytes, at, 1, at);
    this.bytes[at] += 1;
    fs.writeSync(this.file, this.bytes, at, 1, at);
  }
  flush() {
    if (this.high < this.low) return;
    const { low, high } = this;
    this.clear();
    const length = high - low + 1;
    fs.writeSync(this.file, this.bytes, 8 * low, 8 * length, 8 * low);
    fs.writeSync(this.file, this.bytes, 9 * JOBS + low, length, 9 * JOBS + low);
  }
}

async function inFlight(enqueue, numbers, width) {
  let next = 0;
  const lane = async () => {
    while (next < numbers.length) await enqueue(numbers[next++]);
  };
  await Promise.all(Array.from({ length: Math.min(width, numbers.length) }, lane));
}

async function paced(enqueue, numbers) {
  const file = fs.openSync(env.BENCH_TALLY, "r");
  const cell = Buffer.alloc(8);
  const took = [];
  for (const n of numbers) {
    const sent = now();
    await enqueue(n);
    const late = Date.now() + LATE_MS;
    let ran = 0n;
    while (!ran) {
      if (Date.now() > late) throw new Error(`job ${n} did not run within ${LATE_MS} ms`);
      fs.readSync(file, cell, 0, 8, 8 * n);
      ran = cell.readBigUInt64LE(0);
      if (!ran) await pause(1);
    }
    took.push(Number(ran - sent) / 1e9);
    await pause(PAUSE_MS);
  }
  return took;
}

async function produce(shape, first, count) {
  const connection = connect();
  const queue = new Queue(QUEUE, { connection });
  const enqueue = (n) => queue.add("noop", { n, text: TEXT }, options);
  const [warm, ...rest] = Array.from({ length: count }, (_, i) => first + i);
  await enqueue(warm);
  let took = [];
  const begun = now();
  if (shape === "bulk") {
    for (let at = 0; at < rest.length; at += BULK) {
      await queue.addBulk(
        rest.slice(at, at + BULK).map((n) => ({ name: "noop", data: { n, text: TEXT }, opts: options })),
      );
    }
  } else if (shape === "concurrent") await inFlight(enqueue, rest, IN_FLIGHT);
  else if (shape === "one_async") for (const n of rest) await enqueue(n);
  else if (shape === "paced") took = await paced(enqueue, rest);
  else throw new Error(`unknown shape ${shape}`);
  const seconds = Number(now() - begun) / 1e9;
  await queue.close();
  connection.disconnect();
  console.log(JSON.stringify({ seconds, timed: rest.length, took }));
}

async function count() {
  const connection = connect();
  const queue = new Queue(QUEUE, { connection });
  console.log(await queue.getWaitingCount());
  await queue.close();
  connection.disconnect();
}

function work() {
  const tally = env.BENCH_TALLY ? new Tally() : null;
  const handle = async (job) => {
    if (!tally) return;
    if (SLEEP_MS) {
      tally.begin(job.data.n);
      await pause(SLEEP_MS);
    }
    tally.mark(job.data.n);
  };
  const worker = new Worker(QUEUE, handle, { connection: connect(), concurrency: CONCURRENCY });
  worker.on("error", (error) => console.error(error));
  if (tally) setInterval(() => tally.flush(), FLUSH_MS);
  process.on("SIGTERM", async () => {
    await worker.close();
    if (tally) tally.flush();
    process.exit(0);
  });
}

const [verb, shape, first, howMany] = process.argv.slice(2);
const verbs = { produce: () => produce(shape, Number(first), Number(howMany)), count, work };
Promise.resolve(verbs[verb]()).catch((error) => {
  console.error(error);
  process.exit(1);
});

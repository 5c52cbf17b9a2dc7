import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { bytesToHex, createClient, custom, fromRlp, hexToBytes, isAddressEqual, parseGwei, toRlp } from "viem";
import { getBlock, getTransaction, getTransactionReceipt, sendTransaction } from "viem/actions";
import { generateSm2PrivateKey, jialing, parseSm2Transaction, sm2Account, sm2WalletAccount } from "../dist/index.js";

// Transactions that the Go client signed: go test ./test/clients -run VectorsOfGo -update
const vectors = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url), "utf8"));
const numbers = ["maxPriorityFeePerGas", "maxFeePerGas", "gas", "value"];

function requestOf({ key, to, raw, hash, from, ...said }) {
  return { ...said, ...Object.fromEntries(numbers.map((name) => [name, BigInt(said[name])])), to: to ?? null };
}

const requireSame = (parsed, request, from) => {
  for (const name of ["chainId", "nonce", "data", ...numbers]) assert.equal(parsed[name], request[name], name);
  assert.equal(parsed.to?.toLowerCase() ?? null, request.to);
  assert.deepEqual(JSON.parse(JSON.stringify(parsed.accessList).toLowerCase()), JSON.parse(JSON.stringify(request.accessList).toLowerCase()));
  assert.ok(isAddressEqual(parsed.from, from));
};

test("transactions of the Go client", () => {
  assert.ok(vectors.length >= 20);
  for (const vector of vectors) {
    const parsed = parseSm2Transaction(vector.raw);
    requireSame(parsed, requestOf(vector), vector.from);
    assert.equal(parsed.hash, vector.hash);
    assert.ok(isAddressEqual(sm2Account(vector.key).address, vector.from));
  }
});

test("own transactions say the same, but for the signature", async () => {
  for (const vector of vectors) {
    const request = requestOf(vector);
    const raw = await sm2Account(vector.key).signTransaction({ type: "eip1559", ...request });
    requireSame(parseSm2Transaction(raw), request, vector.from);
    const fields = (x) => fromRlp(`0x${x.slice(4)}`, "hex").slice(0, 10);
    assert.deepEqual(fields(raw), fields(vector.raw));
  }
});

test("altered transactions are refused", () => {
  const { raw } = vectors.find(({ to, data }) => to && data.length > 2);
  const fields = fromRlp(`0x${raw.slice(4)}`, "hex");
  const bytes = hexToBytes(raw);
  const of = (list) => `0x50${toRlp(list).slice(2)}`;
  for (let i = 0; i < 8; i++) {
    const altered = [...fields];
    altered[i] = i === 5 ? "0x" : i === 7 ? "0x1234" : fields[i] === "0x01" ? "0x02" : "0x01";
    assert.throws(() => parseSm2Transaction(of(altered)), /signature|above/, `field ${i}`);
  }
  assert.throws(() => parseSm2Transaction(of([...fields.slice(0, 8), [[`0x${"11".repeat(20)}`, []]], ...fields.slice(9)])), /signature/);
  assert.throws(() => parseSm2Transaction(of(fields.slice(0, 11))), /12 fields/);
  assert.throws(() => parseSm2Transaction(of([...fields, "0x"])), /12 fields/);
  assert.throws(() => parseSm2Transaction(of(["0x00", ...fields.slice(1)])), /canonical/);
  assert.throws(() => parseSm2Transaction(of([...fields.slice(0, 10), `0x00${fields[10].slice(2)}`, fields[11]])));
  assert.throws(() => parseSm2Transaction(of([...fields.slice(0, 9), fields[9].slice(0, -2), ...fields.slice(10)])), /signature/);
  assert.throws(() => parseSm2Transaction(of([...fields.slice(0, 8), "0x", ...fields.slice(9)])), /access list/);
  assert.throws(() => parseSm2Transaction(bytesToHex(bytes.slice(0, -1))));
  assert.throws(() => parseSm2Transaction(`${raw}00`));
  assert.throws(() => parseSm2Transaction("0x02c0"), /not a transaction of type 0x50/);
  assert.throws(() => parseSm2Transaction("0x"), /not a transaction of type 0x50/);
});

test("no altered byte passes", () => {
  for (const { raw } of vectors.slice(0, 6)) {
    const bytes = hexToBytes(raw);
    for (let i = 0; i < bytes.length; i += 1 + Math.floor(Math.random() * 8)) {
      const altered = Uint8Array.from(bytes);
      altered[i] ^= 1 << Math.floor(Math.random() * 8);
      assert.throws(() => parseSm2Transaction(bytesToHex(altered)), Error, `byte ${i} of ${raw}: ${altered[i]}`);
    }
  }
});

test("what cannot be signed is said", async () => {
  const account = sm2Account(generateSm2PrivateKey());
  const good = { chainId: 7, nonce: 0, gas: 21_000n, maxFeePerGas: 2n, maxPriorityFeePerGas: 1n, to: account.address };
  const signed = parseSm2Transaction(await account.signTransaction(good));
  assert.deepEqual([signed.value, signed.data, signed.accessList], [0n, "0x", []]);
  for (const name of ["chainId", "nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas"]) {
    await assert.rejects(account.signTransaction({ ...good, [name]: undefined }), new RegExp(`lacks ${name}`));
  }
  await assert.rejects(account.signTransaction({ ...good, maxPriorityFeePerGas: 3n }), /above/);
  await assert.rejects(account.signTransaction({ ...good, value: -1n }), /value/);
  await assert.rejects(account.signTransaction({ ...good, value: 1n << 256n }), /value/);
  await assert.rejects(account.signTransaction({ ...good, gas: 1n << 64n }), /gas/);
  await assert.rejects(account.signTransaction({ ...good, to: "0x1234" }), /0x1234/);
  await assert.rejects(account.signTransaction({ ...good, authorizationList: [] }), /no authorizationList/);
  const legacy = parseSm2Transaction(await account.signTransaction({ type: "legacy", chainId: 7, nonce: 0, gas: 21_000n, gasPrice: 5n, to: null, data: "0x00" }));
  assert.deepEqual([legacy.maxFeePerGas, legacy.maxPriorityFeePerGas, legacy.to], [5n, 5n, null]);
});

// A node of few words: what it is asked, it has been told to answer.
function told(answers) {
  const asked = [];
  const request = async ({ method, params }) => {
    asked.push({ method, params });
    if (!(method in answers)) throw Object.assign(new Error(`the method ${method} does not exist/is not available`), { code: -32601 });
    const answer = answers[method];
    return typeof answer === "function" ? answer(params) : answer;
  };
  return { asked, client: (account) => createClient({ account, chain: jialing(7, "http://127.0.0.1:1"), transport: custom({ request }, { retryCount: 0 }) }) };
}

const hash = `0x${"ab".repeat(32)}`;
const onWire = {
  type: "0x50", hash, nonce: "0x1", chainId: "0x7", gas: "0x5208", gasPrice: "0x2", maxFeePerGas: "0x3", maxPriorityFeePerGas: "0x1", value: "0x0", input: "0x",
  from: `0x${"11".repeat(20)}`, to: `0x${"22".repeat(20)}`, accessList: [], publicKey: `0x${"33".repeat(64)}`, r: "0x1", s: "0x2", v: "0x0", yParity: "0x0",
  blockHash: hash, blockNumber: "0x9", transactionIndex: "0x0",
};
const ordinary = { ...onWire, type: "0x2", publicKey: undefined };

test("a chain's transactions, blocks and receipts say sm2", async () => {
  const block = { number: "0x9", hash, baseFeePerGas: "0x1", timestamp: "0x1", gasLimit: "0x1", gasUsed: "0x1", size: "0x1", transactions: [onWire, ordinary] };
  const receipt = { type: "0x50", transactionHash: hash, status: "0x1", logs: [], gasUsed: "0x5208", transactionIndex: "0x0", blockNumber: "0x9" };
  const { client } = told({
    eth_getTransactionByHash: () => onWire,
    eth_getBlockByNumber: ([, full]) => (full ? block : { ...block, transactions: [hash] }),
    eth_getTransactionReceipt: receipt,
  });
  const tx = await getTransaction(client(), { hash });
  assert.deepEqual([tx.type, tx.typeHex, tx.publicKey, tx.maxFeePerGas, tx.nonce], ["sm2", "0x50", onWire.publicKey, 3n, 1]);
  const { transactions } = await getBlock(client(), { blockNumber: 9n, includeTransactions: true });
  assert.deepEqual(transactions.map((x) => [x.type, x.gas]), [["sm2", 21_000n], ["eip1559", 21_000n]]);
  assert.equal(transactions[0].publicKey, onWire.publicKey);
  assert.deepEqual((await getBlock(client(), { blockNumber: 9n })).transactions, [hash]);
  const got = await getTransactionReceipt(client(), { hash });
  assert.deepEqual([got.type, got.status, got.gasUsed], ["sm2", "success", 21_000n]);
});

test("viem prepares and sends", async () => {
  const account = sm2Account(generateSm2PrivateKey());
  const { client, asked } = told({
    eth_chainId: "0x7", eth_getTransactionCount: "0x5", eth_estimateGas: "0x5208", eth_maxPriorityFeePerGas: "0x1",
    eth_getBlockByNumber: { number: "0x9", baseFeePerGas: "0x64", transactions: [], timestamp: "0x1" },
    eth_sendRawTransaction: hash,
  });
  assert.equal(await sendTransaction(client(account), { to: account.address, value: parseGwei("3") }), hash);
  const [raw] = asked.find(({ method }) => method === "eth_sendRawTransaction").params;
  const sent = parseSm2Transaction(raw);
  assert.deepEqual([sent.from, sent.chainId, sent.nonce, sent.gas, sent.value], [account.address, 7, 5, 21_000n, 3_000_000_000n]);
  assert.deepEqual([sent.maxPriorityFeePerGas, sent.maxFeePerGas], [1n, 121n]); // 1.2 × 100 + 1
});

test("a contract wallet's signatures name chain and wallet", async () => {
  const owner = sm2Account(generateSm2PrivateKey());
  const seen = [];
  const spy = { ...owner, signTypedData: async (typed) => (seen.push(typed), owner.signTypedData(typed)) };
  const wallet = sm2WalletAccount({ owner: spy, address: `0x${"44".repeat(20)}`, chainId: 7 });
  assert.deepEqual([wallet.source, wallet.publicKey], ["sm2Wallet", owner.publicKey]);
  await wallet.signMessage({ message: "x" });
  await wallet.signExecute({ to: owner.address, value: 1n, data: "0x", nonce: 0n, deadline: 9n });
  for (const { domain } of seen) {
    assert.deepEqual(domain, { name: "SM2Wallet", version: "1", chainId: 7, verifyingContract: wallet.address });
  }
  assert.deepEqual(seen.map(({ primaryType }) => primaryType), ["Message", "Execute"]);
  await assert.rejects(wallet.signTransaction({ chainId: 7 }), /contract wallet/);
});

// web3.js 4. It neither signs nor sends EIP-7702: viem sends the set-code transactions, web3 reads them back.

import assert from "node:assert/strict";
import { createWalletClient, defineChain, http, publicActions, zeroAddress, zeroHash } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { eth, Web3, WebSocketProvider } from "web3";
import * as t from "./steps.mjs";

const web3 = new Web3(t.http);
web3.eth.transactionPollingInterval = 50;
const account = web3.eth.accounts.privateKeyToAccount(t.key);
web3.eth.accounts.wallet.add(account);
const me = account.address;
const options = { from: me };
let probe;

async function mine(mined, sent) {
  const receipt = await sent;
  mined(receipt.transactionHash);
  return receipt;
}

// reverted returns the decoded revert of a call that must fail, in each way that web3 decodes one.
async function reverted(method, ...args) {
  const errors = [];
  for (const attempt of ["call", "send"]) {
    const err = await t.throwsError(() => probe.methods[method](...args)[attempt](options));
    assert.equal(err.name, "ContractExecutionError", `${attempt}: ${err.message}`);
    errors.push(err.innerError);
  }
  assert.deepEqual(errors[0].data, errors[1].data);
  const estimated = await t.throwsError(() => probe.methods[method](...args).estimateGas(options));
  assert.equal(estimated.innerError.data, errors[0].data, "the data of the estimate");
  return errors[0];
}

// argumentsOf lists the arguments of a decoded error.
const argumentsOf = (err) => Array.from({ length: err.errorArgs.__length__ }, (_, i) => err.errorArgs[i]);

await t.run({
  async chain() {
    assert.equal(await web3.eth.getChainId(), BigInt(t.chainId));
    assert.equal(await web3.eth.net.getId(), BigInt(t.chainId));
    const block = await web3.eth.getBlock("latest");
    assert.equal(typeof block.baseFeePerGas, "bigint");
    assert.equal(block.baseFeePerGas > 0n, t.fees);
    assert.equal(await web3.eth.isSyncing(), false);
    assert.ok((await web3.eth.getNodeInfo()).length > 0);
    assert.equal((await t.throwsError(() => web3.eth.getTransactionReceipt(zeroHash))).name, "TransactionNotFound");
    assert.equal((await t.throwsError(() => web3.eth.getTransaction(zeroHash))).name, "TransactionNotFound");
  },

  async deploy(mined) {
    const deployment = new web3.eth.Contract(t.probe.abi, options).deploy({ data: t.probe.bytecode, arguments: [41] });
    let hash;
    probe = await deployment.send({ value: "7" }).on("transactionHash", (h) => (hash = h));
    mined(hash);
    const receipt = await web3.eth.getTransactionReceipt(hash);
    assert.equal(receipt.contractAddress.toLowerCase(), probe.options.address.toLowerCase());
    assert.ok((await web3.eth.getCode(probe.options.address)).length > 2);
    assert.equal(await web3.eth.getBalance(probe.options.address), 7n);
  },

  async call() {
    assert.equal(await probe.methods.value().call(), 41n);
    assert.equal(BigInt(await web3.eth.getStorageAt(probe.options.address, 0)), 41n);
    const proof = await web3.eth.getProof(probe.options.address, [zeroHash], "latest");
    assert.equal(BigInt(proof.storageProof[0].value), 41n);
  },

  async send(mined) {
    const before = await web3.eth.getBalance(me);
    const receipt = await mine(mined, probe.methods.set(42, "first").send());
    assert.equal(receipt.status, 1n);
    assert.equal(await probe.methods.value().call(), 42n);
    assert.equal(await probe.methods.value().call(options, receipt.blockNumber - 1n), 41n);
    t.checkCost(before, await web3.eth.getBalance(me), receipt.gasUsed, receipt.effectiveGasPrice, 0n);
    const block = await web3.eth.getBlock(receipt.blockNumber, true);
    assert.equal(block.hash, receipt.blockHash);
    assert.ok(block.transactions.some((tx) => tx.hash === receipt.transactionHash));
  },

  async types(mined) {
    const gasPrice = (await web3.eth.getGasPrice()) * 2n;
    for (const type of [0, 1, 2]) {
      const fee = type === 2 ? {} : { gasPrice };
      const list = type === 1 ? { accessList: [{ address: probe.options.address, storageKeys: [zeroHash] }] } : {};
      const data = probe.methods.set(42, `type ${type}`).encodeABI();
      const sent = web3.eth.sendTransaction({ ...options, type, ...fee, ...list, to: probe.options.address, data, gas: 100_000 });
      const receipt = await mine(mined, sent);
      assert.equal(receipt.type, BigInt(type));
      const tx = await web3.eth.getTransaction(receipt.transactionHash);
      assert.equal(tx.type, BigInt(type));
      assert.equal(BigInt(tx.chainId), BigInt(t.chainId));
      assert.equal(tx.accessList?.length ?? 0, type === 1 ? 1 : 0);
    }
  },

  async reason(mined) {
    const err = await reverted("failWithReason", "not enough stamps");
    assert.deepEqual([err.errorName, ...argumentsOf(err)], ["Error", "not enough stamps"]);
    const data = probe.methods.failWithReason("on chain").encodeABI();
    const tx = { ...options, to: probe.options.address, data, gas: 100_000 };
    const failed = await t.throwsError(() => web3.eth.sendTransaction(tx, undefined, { checkRevertBeforeSending: false }));
    assert.equal(failed.receipt.status, 0n);
    mined(failed.receipt.transactionHash, false);
  },

  async error() {
    const err = await reverted("failWithError", 7);
    assert.deepEqual([err.errorName, ...argumentsOf(err)], ["Refused", me, 7n, t.refusal]);
  },

  async panic() {
    const err = await reverted("failWithPanic", 1);
    assert.deepEqual([err.errorName, ...argumentsOf(err)], ["Panic", 0x12n]);
  },

  async payable(mined) {
    const before = await web3.eth.getBalance(me);
    const held = await web3.eth.getBalance(probe.options.address);
    const receipt = await mine(mined, probe.methods.deposit().send({ value: "1000" }));
    t.checkCost(before, await web3.eth.getBalance(me), receipt.gasUsed, receipt.effectiveGasPrice, 1000n);
    assert.equal((await web3.eth.getBalance(probe.options.address)) - held, 1000n);
    assert.deepEqual(receipt.events.Deposited.returnValues.amount, 1000n);
    const refused = { ...options, to: probe.options.address, value: 1, data: probe.methods.set(1, "takes none").encodeABI() };
    assert.equal((await t.throwsError(() => web3.eth.call(refused))).name, "ContractExecutionError");
  },

  async estimate(mined) {
    const gas = await probe.methods.nested(2000).estimateGas(options);
    const receipt = await mine(mined, probe.methods.nested(2000).send({ gas: gas.toString() }));
    // The call inside gets 63/64 of the rest: what the transaction used would not have been enough.
    assert.ok(gas > receipt.gasUsed);
  },

  async rejected() {
    const send = (rest) => {
      const tx = { ...options, to: me, gas: 21_000, ...rest };
      return web3.eth.sendTransaction(tx, undefined, { checkRevertBeforeSending: false });
    };
    const nonce = (await web3.eth.getTransactionCount(me)) - 1n;
    const again = await t.throwsError(() => send({ nonce }));
    assert.match(again.message, /nonce too low/);
    const value = (await web3.eth.getBalance(me)) * 2n;
    const poor = await t.throwsError(() => send({ value }));
    assert.match(poor.message, /insufficient funds/i);
  },

  async logs(mined) {
    const receipt = await mine(mined, probe.methods.set(77, "收据").send());
    const query = { filter: { by: me, before: 42 }, fromBlock: receipt.blockNumber };
    const found = await probe.getPastEvents("ValueSet", query);
    assert.equal(found.length, 1);
    const { by, before, value, note } = found[0].returnValues;
    assert.deepEqual([by, before, value, note], [me, 42n, 77n, "收据"]);
    assert.equal(found[0].transactionHash, receipt.transactionHash);
    assert.equal(found[0].blockHash, receipt.blockHash);
    assert.deepEqual(await probe.getPastEvents("ValueSet", { filter: { before: 43 }, fromBlock: 0 }), []);
  },

  async subscribe(mined) {
    const socket = new Web3(new WebSocketProvider(t.ws));
    const heads = new t.Seen();
    const events = new t.Seen();
    const newHeads = await socket.eth.subscribe("newBlockHeaders");
    newHeads.on("data", (head) => heads.add(head));
    const listener = new socket.eth.Contract(t.probe.abi, probe.options.address).events.ValueSet({ filter: { by: me } });
    const connected = new Promise((resolve, reject) => {
      listener.on("connected", resolve);
      listener.on("error", reject);
    });
    listener.on("data", (event) => events.add(event));
    await t.within("subscription", connected);

    const receipt = await mine(mined, probe.methods.set(78, "over the socket").send());
    const event = await events.find("event", () => true);
    const { by, before, value, note } = event.returnValues;
    assert.deepEqual([by, before, value, note], [me, 77n, 78n, "over the socket"]);
    assert.equal(event.transactionHash, receipt.transactionHash);
    const head = await heads.find("head", (h) => BigInt(h.number) === receipt.blockNumber);
    assert.equal(head.hash, receipt.blockHash);
    socket.provider.disconnect();
  },

  async typedData(mined) {
    const delivery = { from: me, to: probe.options.address, document: "提单 B/L 7", amount: 12345 };
    const typed = {
      types: { EIP712Domain: t.domainTypes, ...t.deliveryTypes },
      primaryType: "Delivery",
      domain: t.deliveryDomain(probe.options.address),
      message: delivery,
    };
    const digest = eth.abi.getEncodedEip712Data(typed, true);
    assert.equal(await probe.methods.digestOf(delivery).call(), digest);
    const { r, s, v } = eth.accounts.signMessageWithPrivateKey(digest, t.key);
    const receipt = await mine(mined, probe.methods.accept(delivery, v, r, s).send());
    const { signer, digest: accepted, amount } = receipt.events.Accepted.returnValues;
    assert.deepEqual([signer, accepted, amount], [me, digest, 12345n]);

    const err = await reverted("accept", { ...delivery, amount: 1 }, v, r, s);
    assert.deepEqual([err.errorName, argumentsOf(err)[1]], ["WrongSigner", me]);
  },

  async setCode(mined) {
    const deployment = new web3.eth.Contract(t.delegate.abi, options).deploy({ data: t.delegate.bytecode });
    const delegate = await deployment.send().on("transactionHash", (hash) => mined(hash));
    const target = delegate.options.address;
    const input = probe.methods.set(79, "by a delegate").encodeABI();
    const data = delegate.methods.executeBatch([[probe.options.address, 0, input]]).encodeABI();

    const receipt = await sendSetCode(mined, target, data);
    assert.equal(receipt.type, 4n);
    assert.equal(await web3.eth.getCode(me), "0xef0100" + target.slice(2).toLowerCase());
    const [set] = await probe.getPastEvents("ValueSet", { fromBlock: receipt.blockNumber, filter: { before: 78 } });
    assert.deepEqual([set.returnValues.by, set.returnValues.value, set.returnValues.note], [me, 79n, "by a delegate"]);
    const tx = await web3.eth.getTransaction(receipt.transactionHash);
    assert.equal(tx.type, 4n);

    await sendSetCode(mined, zeroAddress, "0x");
    assert.equal(await web3.eth.getCode(me), "0x");
  },
});

// sendSetCode sends a transaction of the account to itself that puts the code of target on it, and returns the receipt
// as web3 reads it.
async function sendSetCode(mined, target, data) {
  const chain = defineChain({
    id: t.chainId,
    name: "Jialing",
    nativeCurrency: { name: "Jialing", symbol: "JL", decimals: 18 },
    rpcUrls: { default: { http: [t.http] } },
  });
  const signer = createWalletClient({ chain, account: privateKeyToAccount(t.key), transport: http(), pollingInterval: 50 });
  const authorization = await signer.signAuthorization({ contractAddress: target, executor: "self" });
  const hash = await signer.sendTransaction({ to: me, data, authorizationList: [authorization] });
  await signer.extend(publicActions).waitForTransactionReceipt({ hash });
  mined(hash);
  return web3.eth.getTransactionReceipt(hash);
}

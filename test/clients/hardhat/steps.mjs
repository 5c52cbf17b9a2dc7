// Hardhat 3 with its ethers plugin: compiled by Hardhat, signed by Hardhat's own local accounts. It has no WebSocket
// provider: its events are polled, and the subscription is made with the ethers that comes with it.

import assert from "node:assert/strict";
import { ZeroAddress, ZeroHash } from "ethers";
import { network } from "hardhat";
import * as t from "../steps.mjs";

const { ethers, provider: rpc } = await network.create();
const { provider } = ethers;
const [signer] = await ethers.getSigners();
const me = signer.address;
const gasPrice = async () => (await provider.getFeeData()).gasPrice * 2n;
let probe;

async function mine(mined, sent) {
  const receipt = await sent.wait();
  mined(receipt.hash);
  return receipt;
}

// reverted checks that a call fails however it is attempted, with the same data, and returns what the node said.
async function reverted(method, ...args) {
  const seen = [];
  for (const attempt of ["staticCall", "estimateGas", "send"]) {
    const err = await t.throwsError(() => probe[method][attempt](...args));
    assert.equal(err.code, 3, `${attempt}: ${err.message}`);
    assert.match(err.message, /execution reverted/);
    seen.push(err);
  }
  assert.equal(seen[0].data, seen[1].data);
  assert.equal(seen[0].data, seen[2].data);
  const parsed = probe.interface.parseError(seen[0].data);
  return { message: seen[0].message, error: [parsed.name, ...parsed.args] };
}

await t.run({
  async chain() {
    assert.equal(Number(await rpc.request({ method: "eth_chainId" })), t.chainId);
    assert.equal((await provider.getNetwork()).chainId, BigInt(t.chainId));
    const block = await provider.getBlock("latest");
    assert.equal(block.baseFeePerGas > 0n, t.fees);
    assert.equal(await provider.getTransactionReceipt(ZeroHash), null);
    assert.equal(await provider.getTransaction(ZeroHash), null);
  },

  async deploy(mined) {
    probe = await ethers.deployContract("Probe", [41], { value: 7 });
    const receipt = await mine(mined, probe.deploymentTransaction());
    assert.equal(receipt.contractAddress, await probe.getAddress());
    assert.notEqual(await provider.getCode(probe.target), "0x");
    assert.equal(await provider.getBalance(probe.target), 7n);
  },

  async call() {
    assert.equal(await probe.value(), 41n);
    assert.equal(BigInt(await provider.getStorage(probe.target, 0)), 41n);
  },

  async send(mined) {
    const before = await provider.getBalance(me);
    const receipt = await mine(mined, await probe.set(42, "first"));
    assert.equal(receipt.status, 1);
    assert.equal(await probe.value(), 42n);
    assert.equal(await probe.value({ blockTag: receipt.blockNumber - 1 }), 41n);
    t.checkCost(before, await provider.getBalance(me), receipt.gasUsed, receipt.gasPrice, 0n);
  },

  async types(mined) {
    const price = await gasPrice();
    const accessList = [{ address: probe.target, storageKeys: [ZeroHash] }];
    const kinds = [{ gasPrice: price }, { gasPrice: price, accessList }, { maxFeePerGas: price, maxPriorityFeePerGas: 0n }];
    for (const [type, fields] of kinds.entries()) {
      const receipt = await mine(mined, await probe.set(42, `type ${type}`, fields));
      assert.equal(receipt.type, type);
      const tx = await provider.getTransaction(receipt.hash);
      assert.equal(tx.type, type);
      assert.equal(tx.chainId, BigInt(t.chainId));
    }
  },

  async reason(mined) {
    const { message, error } = await reverted("failWithReason", "not enough stamps");
    assert.deepEqual(error, ["Error", "not enough stamps"]);
    assert.match(message, /not enough stamps/);
    const sent = await probe.failWithReason("on chain", { gasLimit: 100_000 });
    const err = await t.throwsError(() => sent.wait());
    assert.equal(err.receipt.status, 0);
    mined(sent.hash, false);
  },

  async error() {
    const { error } = await reverted("failWithError", 7);
    assert.deepEqual(error, ["Refused", me, 7n, t.refusal]);
  },

  async panic() {
    const { error } = await reverted("failWithPanic", 1);
    assert.deepEqual(error, ["Panic", 0x12n]);
  },

  async payable(mined) {
    const before = await provider.getBalance(me);
    const held = await provider.getBalance(probe.target);
    const receipt = await mine(mined, await probe.deposit({ value: 1000 }));
    t.checkCost(before, await provider.getBalance(me), receipt.gasUsed, receipt.gasPrice, 1000n);
    assert.equal((await provider.getBalance(probe.target)) - held, 1000n);
    const err = await t.throwsError(() => probe.set.staticCall(1, "takes none", { value: 1 }));
    assert.match(err.message, /execution reverted/);
  },

  async estimate(mined) {
    const receipt = await mine(mined, await probe.nested(2000));
    // The call inside gets 63/64 of the rest: what the transaction used would not have been enough.
    assert.ok((await provider.getTransaction(receipt.hash)).gasLimit > receipt.gasUsed);
  },

  async rejected() {
    const nonce = (await signer.getNonce()) - 1;
    const again = await t.throwsError(() => signer.sendTransaction({ to: me, nonce, gasLimit: 21_000 }));
    assert.match(again.message, /nonce too low/);
    const value = (await provider.getBalance(me)) * 2n;
    const poor = await t.throwsError(() => signer.sendTransaction({ to: me, value, gasLimit: 21_000 }));
    assert.match(poor.message, /insufficient funds/i);
  },

  async logs(mined) {
    const receipt = await mine(mined, await probe.set(77, "收据"));
    const found = await probe.queryFilter(probe.filters.ValueSet(me, 42), receipt.blockNumber, "latest");
    assert.equal(found.length, 1);
    assert.deepEqual([...found[0].args], [me, 42n, 77n, "收据"]);
    assert.equal(found[0].blockHash, receipt.blockHash);
    assert.deepEqual(await probe.queryFilter(probe.filters.ValueSet(me, 43), 0, "latest"), []);
  },

  async subscribe(mined) {
    const polled = new t.Seen();
    await probe.on("ValueSet", (...args) => polled.add(args));
    const receipt = await mine(mined, await probe.set(78, "to whoever polls"));
    const [by, before, value, note, { log }] = await polled.find("event", () => true);
    assert.deepEqual([by, before, value, note], [me, 77n, 78n, "to whoever polls"]);
    assert.equal(log.transactionHash, receipt.hash);
    await probe.removeAllListeners();
  },

  async typedData(mined) {
    const delivery = { from: me, to: probe.target, document: "提单 B/L 7", amount: 12345n };
    const signature = await signer.signTypedData(t.deliveryDomain(probe.target), t.deliveryTypes, delivery);
    const { r, s, v } = ethers.Signature.from(signature);
    const digest = await probe.digestOf(delivery);
    const receipt = await mine(mined, await probe.accept(delivery, v, r, s));
    const [log] = receipt.logs.map((l) => probe.interface.parseLog(l));
    assert.deepEqual([log.name, ...log.args], ["Accepted", me, digest, 12345n]);

    const { error } = await reverted("accept", { ...delivery, amount: 1n }, v, r, s);
    assert.deepEqual([error[0], error[2]], ["WrongSigner", me]);
  },

  async setCode(mined) {
    const delegate = await ethers.deployContract("Delegate");
    await mine(mined, delegate.deploymentTransaction());
    const calls = [{ to: probe.target, value: 0, data: probe.interface.encodeFunctionData("set", [79, "by a delegate"]) }];
    const data = delegate.interface.encodeFunctionData("executeBatch", [calls]);

    const receipt = await mine(mined, await sendSetCode(delegate.target, data));
    assert.equal(receipt.type, 4);
    assert.equal(await provider.getCode(me), "0xef0100" + delegate.target.slice(2).toLowerCase());
    const [set, executed] = receipt.logs;
    assert.deepEqual([...probe.interface.parseLog(set).args], [me, 78n, 79n, "by a delegate"]);
    assert.deepEqual([...delegate.interface.parseLog(executed).args], [me, 1n]);

    await mine(mined, await sendSetCode(ZeroAddress, "0x"));
    assert.equal(await provider.getCode(me), "0x");
  },
});

// sendSetCode sends a transaction of the account to itself that puts the code of target on it. Hardhat signs the
// transaction; the authorization in it is signed with the ethers of the plugin.
async function sendSetCode(target, data) {
  const nonce = await signer.getNonce();
  const wallet = new ethers.Wallet(t.key);
  const auth = await wallet.authorize({ address: target, nonce: nonce + 1, chainId: t.chainId });
  const quantity = (x) => ethers.toQuantity(x);
  const authorization = {
    chainId: quantity(auth.chainId),
    address: auth.address,
    nonce: quantity(auth.nonce),
    yParity: quantity(auth.signature.yParity),
    r: auth.signature.r,
    s: auth.signature.s,
  };
  const tx = { from: me, to: me, data, nonce: quantity(nonce), gas: quantity(300_000), authorizationList: [authorization] };
  const fee = { maxFeePerGas: quantity(await gasPrice()), maxPriorityFeePerGas: "0x0" };
  const hash = await rpc.request({ method: "eth_sendTransaction", params: [{ ...tx, ...fee }] });
  return provider.getTransaction(hash);
}

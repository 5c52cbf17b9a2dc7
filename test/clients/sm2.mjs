// What viem, ethers and web3 make of SM2 transactions (type 0x50): they know no such type, and read and send it all the same. The Go test has had two
// transactions mined in one block, an SM2 account's and a secp256k1 account's, and hands over two more that the SM2 account has signed.

import assert from "node:assert/strict";
import { JsonRpcProvider } from "ethers";
import { createPublicClient, defineChain, http, keccak256 } from "viem";
import { Web3 } from "web3";
import * as t from "./steps.mjs";

const { hash, other, from, publicKey, raw } = JSON.parse(process.env.JIALING_SM2);
const chain = defineChain({ id: t.chainId, name: "Jialing", nativeCurrency: { name: "Jialing", symbol: "JL", decimals: 18 }, rpcUrls: { default: { http: [t.http] } } });
const viem = createPublicClient({ chain, transport: http(), pollingInterval: 50, cacheTime: 0 });
const ethers = new JsonRpcProvider(t.http, undefined, { cacheTimeout: -1, polling: true, pollingInterval: 50 });
const web3 = new Web3(t.http);
web3.eth.transactionPollingInterval = 50;
const same = (a, b) => assert.equal(a.toLowerCase(), b.toLowerCase());

await t.run({
  async viem(mined) {
    const tx = await viem.getTransaction({ hash });
    assert.equal(tx.typeHex, "0x50");
    same(tx.from, from);
    same(tx.publicKey, publicKey);
    assert.equal(tx.yParity, 0);
    assert.equal(tx.chainId, t.chainId);
    const block = await viem.getBlock({ blockHash: tx.blockHash, includeTransactions: true });
    assert.deepEqual(block.transactions.map((x) => x.hash), [hash, other]);
    assert.equal(block.transactions[0].typeHex, "0x50");
    assert.equal(block.transactions[1].type, "eip1559");
    const receipt = await viem.getTransactionReceipt({ hash });
    assert.equal(receipt.status, "success");
    same(receipt.from, from);

    const sent = await viem.sendRawTransaction({ serializedTransaction: raw[0] });
    assert.equal(sent, keccak256(raw[0]));
    assert.equal((await viem.waitForTransactionReceipt({ hash: sent })).status, "success");
    mined(sent);
  },

  async ethers() {
    const tx = await ethers.getTransaction(hash);
    assert.equal(tx.type, 0x50);
    same(tx.from, from);
    const block = await ethers.getBlock(tx.blockNumber, true);
    assert.deepEqual(block.prefetchedTransactions.map((x) => [x.hash, x.type]), [[hash, 0x50], [other, 2]]);
    const receipt = await ethers.getTransactionReceipt(hash);
    assert.equal(receipt.type, 0x50);
    assert.equal(receipt.status, 1);
    assert.equal((await (await ethers.getTransaction(hash)).wait()).blockHash, tx.blockHash);
  },

  async web3(mined) {
    const tx = await web3.eth.getTransaction(hash);
    assert.equal(tx.type, 0x50n);
    same(tx.from, from);
    const block = await web3.eth.getBlock(tx.blockNumber, true);
    assert.deepEqual(block.transactions.map((x) => [x.hash, x.type]), [[hash, 0x50n], [other, 2n]]);
    assert.equal((await web3.eth.getTransactionReceipt(hash)).status, 1n);

    // web3.eth.sendSignedTransaction decodes what it sends and throws; the method by its name takes anything.
    mined(await web3.requestManager.send({ method: "eth_sendRawTransaction", params: [raw[1]] }));
  },
});

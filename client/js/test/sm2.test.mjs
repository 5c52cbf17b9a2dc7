import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import smCrypto from "sm-crypto-v2";
import { bytesToHex, hashMessage, hexToBytes } from "viem";
import { generateSm2PrivateKey, hashSm3, sm2Account, verifySm2 } from "../dist/index.js";
import { digestOf, publicKeyOf, sign, verify } from "../dist/sm2.js";
import { hmacSm3, sm3 } from "../dist/sm3.js";

const order = 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n;
const field = 0xfffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffffn;
const hex = (bytes) => bytesToHex(bytes).slice(2);
const number = (bytes) => BigInt(bytesToHex(bytes));
const word = (x) => hexToBytes(`0x${x.toString(16).padStart(64, "0")}`);
const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const text = (s) => new TextEncoder().encode(s);

// GB/T 32918.5-2017, A.2.
const standard = {
  key: "0x3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8",
  publicKey: hexToBytes(
    "0x09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13",
  ),
  message: text("message digest"),
  e: "0xf0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640",
  signature: hexToBytes(
    "0xf5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa",
  ),
};

test("SM3 is the standard's", () => {
  assert.equal(hashSm3("0x616263"), "0x66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"); // GB/T 32905-2016, A.1
  assert.equal(hashSm3(text("abcd".repeat(16))), "0xdebe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"); // A.2
  assert.equal(hashSm3("0x"), "0x1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b");
});

test("SM3 of every length is OpenSSL's, whole or in parts", () => {
  const data = randomBytes(300);
  for (let n = 0; n <= data.length; n++) {
    const part = new Uint8Array(data.subarray(0, n));
    const want = createHash("sm3").update(part).digest("hex");
    assert.equal(hex(sm3(part)), want, `${n} bytes`);
    assert.equal(hex(sm3(part.subarray(0, n >> 1), part.subarray(n >> 1))), want, `${n} bytes in two parts`);
  }
});

test("HMAC-SM3 is sm-crypto-v2's", () => {
  for (const n of [1, 32, 64]) {
    const [key, data] = [randomBytes(n), randomBytes(77)].map((b) => new Uint8Array(b));
    assert.equal(hex(hmacSm3(key, data.subarray(0, 7), data.subarray(7))), smCrypto.sm3(data, { key: hex(key), mode: "hmac" }));
  }
});

test("the standard's example", () => {
  const { key, publicKey, message, e, signature } = standard;
  assert.deepEqual(publicKeyOf(hexToBytes(key)), publicKey);
  assert.equal(bytesToHex(digestOf(message, publicKey)), e);
  assert.ok(verify(message, signature, publicKey));
  const own = sign(message, hexToBytes(key), publicKey);
  assert.ok(verify(message, own, publicKey));
  assert.notDeepEqual(own, sign(message, hexToBytes(key), publicKey), "two signatures share their k");
});

test("refused signatures", () => {
  const { publicKey, message, signature } = standard;
  const [r, s, x, y] = [signature.slice(0, 32), signature.slice(32), publicKey.slice(0, 32), publicKey.slice(32)];
  const zero = new Uint8Array(32);
  const refused = {
    "another message": [text("message digesT"), r, s, x, y],
    "r and s swapped": [message, s, r, x, y],
    "r is 0": [message, zero, s, x, y],
    "s is 0": [message, r, zero, x, y],
    "r is n": [message, word(order), s, x, y],
    "s is n": [message, r, word(order), x, y],
    "r + s is n": [message, r, word(order - number(r)), x, y],
    "s negated": [message, r, word(order - number(s)), x, y],
    "x and y swapped": [message, r, s, y, x],
    "the mirrored key": [message, r, s, x, word(field - number(y))],
    "x is not of the field": [message, r, s, word(field), y],
    infinity: [message, r, s, zero, zero],
    "a byte short": [message, r, s.slice(1), x, y],
    "a byte long": [message, r, join(s, [0]), x, y],
    "a short key": [message, r, s, x, y.slice(1)],
  };
  for (const [name, [m, ...parts]] of Object.entries(refused)) {
    assert.equal(verify(m, join(parts[0], parts[1]), join(parts[2], parts[3])), false, name);
  }
  assert.equal(verify(message, signature, publicKey, "1234567812345679"), false, "another identifier");
  for (let i = 0; i < 64; i++) {
    const altered = Uint8Array.from(signature);
    altered[i] ^= 1 << (i % 8);
    assert.equal(verify(message, altered, publicKey), false, `byte ${i}`);
  }
});

test("a sum at infinity verifies nothing", () => {
  // r = e and s = −rd/(1+d) make sG + (r+s)Q the point at infinity; its "coordinates" 0 must not pass for an x.
  const { key, publicKey, message } = standard;
  const modulo = (x) => ((x % order) + order) % order;
  const power = (x, k) => (k === 0n ? 1n : modulo(power(modulo(x * x), k >> 1n) * (k & 1n ? x : 1n)));
  const d = BigInt(key);
  const r = modulo(number(digestOf(message, publicKey)));
  const s = modulo(-r * d * power(1n + d, order - 2n));
  assert.equal(verify(message, join(word(r), word(s)), publicKey), false);
});

test("private keys out of range", () => {
  for (const bad of [0n, order - 1n, order, (1n << 256n) - 1n]) {
    assert.throws(() => sm2Account(bytesToHex(word(bad))), /1 to n−2/, String(bad));
  }
  const almost = `0x${"ab".repeat(31)}zz`;
  for (const bad of ["0x1234", almost, almost.slice(2), generateSm2PrivateKey().slice(2), ""]) {
    assert.throws(() => sm2Account(bad), (err) => /0x and 64 hex digits/.test(err.message) && !(bad && err.message.includes(bad)));
  }
  sm2Account(bytesToHex(word(1n)));
  sm2Account(bytesToHex(word(order - 2n)));
});

test("both ways with sm-crypto-v2, fresh keys", () => {
  for (let i = 0; i < 10; i++) {
    const theirs = smCrypto.sm2.generateKeyPairHex();
    const publicKey = hexToBytes(`0x${theirs.publicKey.slice(2)}`);
    const privateKey = hexToBytes(`0x${theirs.privateKey.padStart(64, "0")}`);
    assert.deepEqual(publicKeyOf(privateKey), publicKey);
    const message = new Uint8Array(randomBytes(i * 13));
    const id = i % 2 ? undefined : `signer-${i}`;
    const options = { hash: true, publicKey: theirs.publicKey, ...(id ? { userId: id } : {}) };
    const ours = sign(message, privateKey, publicKey, id);
    assert.ok(smCrypto.sm2.doVerifySignature(message, hex(ours), theirs.publicKey, options), "they verify ours");
    const sig = hexToBytes(`0x${smCrypto.sm2.doSignature(message, theirs.privateKey, options)}`);
    assert.ok(verify(message, sig, publicKey, id), "we verify theirs");
    assert.equal(verify(message, sig, publicKey, "another"), false);
  }
});

test("accounts sign messages and typed data", async () => {
  const key = generateSm2PrivateKey();
  assert.notEqual(key, generateSm2PrivateKey());
  const account = sm2Account(key);
  assert.deepEqual([account.type, account.source], ["local", "sm2"]);
  assert.equal(hexToBytes(account.publicKey).length, 64);
  assert.equal(account.address.toLowerCase(), `0x${hashSm3(account.publicKey).slice(-40)}`);
  const signature = await account.signMessage({ message: "嘉陵" });
  assert.ok(verifySm2({ hash: hashMessage("嘉陵"), signature, publicKey: account.publicKey }));
  assert.ok(!verifySm2({ hash: hashMessage("嘉陵江"), signature, publicKey: account.publicKey }));
  await assert.rejects(account.signAuthorization({ address: account.address, chainId: 1, nonce: 0 }), /secp256k1/);
});

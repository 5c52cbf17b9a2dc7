// sm-crypto or sm-crypto-v2, as the argument says, for the Go test: a request in JSON a line, an answer a line. Bytes are hexadecimal digits.

import { createInterface } from "node:readline";

const library = await import(process.argv[2]);
const { sm2, sm3, sm4 } = library.default ?? library;
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
// sm-crypto takes arrays of numbers, sm-crypto-v2 takes Uint8Array.
const given = process.argv[2] === "sm-crypto" ? (hex) => Array.from(bytes(hex)) : bytes;

const methods = {
  sm3: ({ message }) => sm3(given(message)),
  generate: () => sm2.generateKeyPairHex(),
  sign: ({ message, privateKey, publicKey, id, der }) => sm2.doSignature(given(message), privateKey, { hash: true, der, publicKey: "04" + publicKey, userId: id }),
  verify: ({ message, publicKey, id, signature, der }) => sm2.doVerifySignature(given(message), signature, "04" + publicKey, { hash: true, der, userId: id }),
  seal({ key, nonce, context, plain }) {
    const { output, tag } = sm4.encrypt(bytes(plain), bytes(key), { mode: "gcm", iv: bytes(nonce), associatedData: bytes(context), output: "array", outputTag: true });
    return Buffer.concat([output, tag]).toString("hex");
  },
  open({ key, nonce, context, sealed }) {
    const all = bytes(sealed);
    const options = { mode: "gcm", iv: bytes(nonce), associatedData: bytes(context), output: "array", tag: all.slice(-16) };
    return Buffer.from(sm4.decrypt(all.slice(0, -16), bytes(key), options)).toString("hex");
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { method, ...request } = JSON.parse(line);
  let answer;
  try {
    answer = { result: methods[method](request) };
  } catch (e) {
    answer = { error: String(e) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}

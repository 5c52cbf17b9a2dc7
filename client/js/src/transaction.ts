// The transaction of type 0x50: 0x50 ‖ rlp([chainID, nonce, maxPriorityFeePerGas, maxFeePerGas, gas, to, value, data, accessList, publicKey, r, s]).
// What is signed is the same without the last three, as a message under SM2's default identifier. Fees are as with type 2.

import { bytesToHex, fromRlp, getAddress, hexToBigInt, hexToBytes, keccak256, pad, toRlp } from "viem";
import type { AccessList, Address, Hash, Hex } from "viem";
import { sign, verify } from "./sm2.js";
import { sm3 } from "./sm3.js";

/** What a transaction says. Amounts are in wei. */
export type Sm2TransactionRequest = {
  chainId: number;
  nonce: number;
  maxPriorityFeePerGas: bigint;
  maxFeePerGas: bigint;
  gas: bigint;
  /** Absent: the transaction makes a contract, of `data`. */
  to?: Address | null | undefined;
  value?: bigint | undefined;
  data?: Hex | undefined;
  accessList?: AccessList | undefined;
};

/** A signed transaction, taken apart. */
export type Sm2Transaction = Required<Sm2TransactionRequest> & {
  to: Address | null;
  /** X ‖ Y, 64 bytes. */
  publicKey: Hex;
  r: bigint;
  s: bigint;
  /** keccak256 of the raw bytes, as for every type. */
  hash: Hash;
  /** The account: the last 20 bytes of SM3(publicKey). */
  from: Address;
};

const typeByte = 0x50;

type Rlp = Hex | readonly Rlp[];

/** The account of a public key (64 bytes): the last 20 bytes of its SM3, with Ethereum's checksum. */
export const sm2Address = (publicKey: Uint8Array): Address => getAddress(bytesToHex(sm3(publicKey).subarray(12)));

/** An integer as RLP has it: without leading zeros, zero is empty. */
function integer(x: bigint | number, what: string, bits: bigint): Hex {
  const value = BigInt(x);
  if (value < 0n || value >> bits !== 0n) throw new Error(`${what} is not an unsigned integer of ${bits} bits: ${value}`);
  if (value === 0n) return "0x";
  const digits = value.toString(16);
  return `0x${digits.length % 2 ? "0" : ""}${digits}`;
}

function fields(tx: Sm2TransactionRequest): Rlp[] {
  if (tx.maxPriorityFeePerGas > tx.maxFeePerGas) throw new Error("maxPriorityFeePerGas is above maxFeePerGas");
  return [
    integer(tx.chainId, "chainId", 64n),
    integer(tx.nonce, "nonce", 64n),
    integer(tx.maxPriorityFeePerGas, "maxPriorityFeePerGas", 256n),
    integer(tx.maxFeePerGas, "maxFeePerGas", 256n),
    integer(tx.gas, "gas", 64n),
    tx.to ? getAddress(tx.to) : "0x",
    integer(tx.value ?? 0n, "value", 256n),
    tx.data ?? "0x",
    (tx.accessList ?? []).map(({ address, storageKeys }) => [address, storageKeys]),
  ];
}

function envelope(list: Rlp[]): Uint8Array {
  const payload = toRlp(list as Hex[], "bytes");
  const out = new Uint8Array(1 + payload.length);
  out[0] = typeByte;
  out.set(payload, 1);
  return out;
}

/** Signs a transaction with a key pair: the raw bytes for eth_sendRawTransaction. */
export function signSm2Transaction(tx: Sm2TransactionRequest, privateKey: Uint8Array, publicKey: Uint8Array): Hex {
  const list = fields(tx);
  const signature = sign(envelope(list), privateKey, publicKey);
  const part = (from: number) => integer(hexToBigInt(bytesToHex(signature.subarray(from, from + 32))), "signature", 256n);
  return bytesToHex(envelope([...list, bytesToHex(publicKey), part(0), part(32)]));
}

/** Takes a raw transaction of type 0x50 apart and verifies its signature. Throws on anything that a node would not take for one. */
export function parseSm2Transaction(raw: Hex): Sm2Transaction {
  const bytes = hexToBytes(raw);
  if (bytes[0] !== typeByte) throw new Error("not a transaction of type 0x50");
  const list = fromRlp(bytes.subarray(1), "hex") as Rlp;
  if (!Array.isArray(list) || list.length !== 12) throw new Error("a transaction of type 0x50 has 12 fields");
  const text = (i: number): Hex => {
    const field = list[i] as Rlp;
    if (typeof field !== "string") throw new Error(`field ${i} is a list`);
    return field;
  };
  const number = (i: number): bigint => (text(i) === "0x" ? 0n : hexToBigInt(text(i)));
  const [to, publicKey] = [text(5), text(9)];
  const said = {
    chainId: Number(number(0)),
    nonce: Number(number(1)),
    maxPriorityFeePerGas: number(2),
    maxFeePerGas: number(3),
    gas: number(4),
    to: to === "0x" ? null : getAddress(to),
    value: number(6),
    data: text(7),
    accessList: accessListOf(list[8] as Rlp),
  };
  const key = hexToBytes(publicKey);
  const [r, s] = [text(10), text(11)].map((x) => hexToBytes(pad(x, { size: 32 }))) as [Uint8Array, Uint8Array];
  const again = bytesToHex(envelope([...fields(said), publicKey, integer(number(10), "r", 256n), integer(number(11), "s", 256n)]));
  if (again !== raw.toLowerCase()) throw new Error("the transaction is not in canonical form");
  if (!verify(envelope(fields(said)), Uint8Array.of(...r, ...s), key)) throw new Error("the signature is not this public key's");
  return { ...said, publicKey, r: number(10), s: number(11), hash: keccak256(bytes), from: sm2Address(key) };
}

function accessListOf(field: Rlp): AccessList {
  if (typeof field === "string") throw new Error("the access list is not a list");
  return field.map((entry) => {
    const [address, storageKeys] = entry as [Hex, Hex[]];
    return { address: getAddress(address), storageKeys };
  });
}

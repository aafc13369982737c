import { call } from "./fetch.js";

/** The session of the caller: `{keys_needed, signed_in, role, project}`. */
export const session = { keys_needed: false, signed_in: false, role: null, project: null };

export async function loadSession() {
  Object.assign(session, (await call("/v1/session")).data);
  return session;
}

/** Sends the key once and does not store it. The session is a cookie that scripts cannot read. */
export async function signIn(key) {
  Object.assign(session, (await call("/v1/session", { method: "POST", body: { key } })).data);
}

export async function signOut() {
  await call("/v1/session", { method: "DELETE" });
  await loadSession();
}

export const mayRead = () => !session.keys_needed || session.signed_in;
const ROLES = { read: "read-only", admin: "admin" };
export const roleText = () => ROLES[session.role] ?? session.role;
export const mayWrite = () => session.role === "admin";

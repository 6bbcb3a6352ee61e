// Sessions: one for each role, in this page's memory only; renewed shortly before they end.

import { fill } from "./blanks.js";

const EARLY = 30_000; // milliseconds before its end at which an access token is renewed

export class Sessions {
  /** `ask(payload, token)` sends an operation; `operations` are those that sign in and renew. */
  constructor(ask) {
    this.ask = ask;
    this.operations = null;
    this.held = new Map();
    this.renewals = new Map();
  }

  of(role) {
    return this.held.get(role);
  }

  /** Sign in for `role`. Answers null, or the sentences that the server refused with: {message, messageZh}. */
  async signIn(role, userName, password) {
    const device = fill("{{new:dev}}");
    const { body } = await this.send("signIn", { userName, password, device });
    return this.settle(role, body, device, userName);
  }

  /** The access token for `role`, renewed where it is about to end; undefined without a session. */
  async token(role) {
    const session = this.held.get(role);
    if (!session) return undefined;
    if (session.until - Date.now() > EARLY) return session.accessToken;
    // Two operations at once must not both use the refresh token: it is good for one renewal.
    if (!this.renewals.has(role)) this.renewals.set(role, this.renew(role, session).finally(() => this.renewals.delete(role)));
    await this.renewals.get(role);
    return this.held.get(role)?.accessToken;
  }

  async signOut(role) {
    const session = this.held.get(role);
    this.held.delete(role);
    if (session) await this.ask({ query: this.operations.signOut.query }, session.accessToken);
  }

  async renew(role, session) {
    const { body } = await this.send("refresh", { refreshToken: session.refreshToken, device: session.device });
    const refusal = this.settle(role, body, session.device, session.name);
    if (refusal && refusal.nextStep !== "RETRY_LATER") this.held.delete(role);
  }

  send(name, blanks) {
    const { query, variables } = this.operations[name];
    return this.ask({ query, variables: JSON.parse(fill(variables, blanks)) });
  }

  settle(role, body, device, name) {
    const answer = body?.data && Object.values(body.data)[0];
    if (!answer?.accessToken) {
      const error = body?.errors?.[0];
      return answer ?? { message: error?.message, ...error?.extensions };
    }
    const { accessToken, accessExpiresAt, refreshToken, user } = answer;
    this.held.set(role, { accessToken, refreshToken, until: Date.parse(accessExpiresAt), device, name: user?.displayName ?? name });
    return null;
  }
}

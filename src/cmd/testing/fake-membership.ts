import type { Member, MemberId, MemberStatus, Membership } from "../../store/index.ts";

export const FOUNDER: Member = {
  id: 1 as MemberId,
  name: "one",
  role: "voter",
  peerAddress: "127.0.0.1:1001",
  apiAddress: "https://127.0.0.1:1002",
};

/** The members as a list; changes are made at once, and may fail after they were made. */
export class FakeMembership implements Membership {
  readonly self = FOUNDER.id;
  readonly clusterId = "cluster-1";
  list: MemberStatus[] = [{ ...FOUNDER, leader: true, reachable: true, lag: 0 }];
  /** Thrown by the next change, after it was made: the answer is lost. */
  failAfter: Error | undefined;

  members(): readonly Member[] {
    return this.list.map(({ id, name, role, peerAddress, apiAddress }) => ({
      id,
      name,
      role,
      peerAddress,
      apiAddress,
    }));
  }

  status(): readonly MemberStatus[] {
    return this.list;
  }

  onChange(): () => void {
    return () => undefined;
  }

  transferLeadership(): Promise<void> {
    return Promise.resolve();
  }

  async add(member: Member): Promise<void> {
    this.list = this.list.filter(({ id }) => id !== member.id);
    this.list.push({ ...member, leader: false, reachable: false, lag: 10 });
    this.#fail();
  }

  async promote(id: MemberId): Promise<void> {
    this.list = this.list.map((one) => (one.id === id ? { ...one, role: "voter" } : one));
    this.#fail();
  }

  async remove(id: MemberId): Promise<void> {
    this.list = this.list.filter((member) => member.id !== id);
    this.#fail();
  }

  #fail(): void {
    const error = this.failAfter;
    this.failAfter = undefined;
    if (error !== undefined) throw error;
  }
}

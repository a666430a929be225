// A component in JavaScript: the engine (SpiderMonkey) inside calls this for every request.
import { environment } from "./environment.js";

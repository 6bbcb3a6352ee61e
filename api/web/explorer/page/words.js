// The page's own words in English and Chinese; what the API says comes from its schema.

const WORDS = {
  en: {
    skip: "Skip to the editor",
    tagline: "Try the API: choose a role, take an example, run it.",
    language: "Switch to Chinese (中文)",
    other: "中文",
    theme: "Light or dark",
    sideLabel: "Examples and schema",
    askLabel: "Operation and variables",
    examples: "Examples",
    schema: "Schema",
    operation: "Operation",
    which: "Run",
    keys: "Ctrl-Space completes, Esc leaves",
    run: "Run",
    running: "Running…",
    variables: "Variables",
    badJson: "Not valid JSON",
    result: "Result",
    copy: "Copy",
    copied: "Copied",
    waiting: "The answer appears here.",
    unreachable: "The server did not answer.",
    quote: "number to quote",
    role: "Ask as",
    userName: "User name",
    password: "Password",
    signIn: "Sign in",
    signOut: "Sign out",
    signedInAs: "Signed in as",
    anyone: "No sign-in: what a stranger may ask.",
    kept: "The session lives in this page only; closing the page ends it here.",
    ended: "The session has ended. Sign in again.",
    refused: "Refused",
    noExamples: "No examples for this role yet.",
    needs: "Run an example first that yields an id of this kind:",
    search: "Search types and fields",
    noSchema: "This server keeps its schema to itself (introspection is off).",
    query: "Query",
    mutation: "Mutation",
    types: "Types",
    insert: "insert",
    implements: "is a",
    members: "is one of",
    values: "values",
    usedIn: "All types",
    nothing: "Nothing found.",
    deprecated: "deprecated",
  },
  zh: {
    skip: "跳到编辑区",
    tagline: "试用接口：选角色，取示例，运行。",
    language: "切换到英文 (English)",
    other: "English",
    theme: "明暗切换",
    sideLabel: "示例与接口文档",
    askLabel: "操作与变量",
    examples: "示例",
    schema: "接口文档",
    operation: "操作",
    which: "运行",
    keys: "Ctrl-空格 补全，Esc 关闭",
    run: "运行",
    running: "运行中…",
    variables: "变量",
    badJson: "不是有效的 JSON",
    result: "结果",
    copy: "复制",
    copied: "已复制",
    waiting: "结果显示在这里。",
    unreachable: "服务器没有响应。",
    quote: "查询编号",
    role: "身份",
    userName: "用户名",
    password: "密码",
    signIn: "登录",
    signOut: "退出",
    signedInAs: "已登录：",
    anyone: "不登录：陌生人可以询问的内容。",
    kept: "登录只保存在本页面，关闭页面即失效。",
    ended: "登录已失效，请重新登录。",
    refused: "未受理",
    noExamples: "该角色暂无示例。",
    needs: "请先运行能得到此类编号的示例：",
    search: "搜索类型和字段",
    noSchema: "本服务器不公开接口文档。",
    query: "查询",
    mutation: "变更",
    types: "类型",
    insert: "插入",
    implements: "属于",
    members: "为其中之一",
    values: "取值",
    usedIn: "全部类型",
    nothing: "没有找到。",
    deprecated: "已弃用",
  },
};

let language = remembered("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");

export function remembered(key) {
  try {
    return localStorage.getItem(`mingcha.${key}`);
  } catch {
    return null; // storage is closed in some private windows
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`mingcha.${key}`, value);
  } catch {
    // nothing is lost but the preference
  }
}

export const word = (key) => WORDS[language][key];
export const isChinese = () => language === "zh";

export function switchLanguage() {
  language = isChinese() ? "en" : "zh";
  remember("language", language);
}

/** Fill every element that names its words by `data-text`, `data-label` or `data-title`. */
export function fillWords() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = word(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", word(element.dataset.label));
  for (const element of document.querySelectorAll("[data-title]")) {
    element.title = word(element.dataset.title);
    element.setAttribute("aria-label", element.title);
  }
}

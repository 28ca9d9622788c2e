/**
 * @file Names of persons where something says that they are names: a title, a label, in Chinese also what follows the
 * name. Names in running text without any of these are not found; that would take a model.
 */

import { placesOf } from './place.ts';
import type { Detector, Place } from './place.ts';

const WORD = "\\p{Lu}(?:\\p{Ll}+(?:['’-]\\p{Lu}?\\p{Ll}+)*|['’]\\p{Lu}\\p{Ll}+|\\.)";
const PARTICLE = '(?:van der|van den|van|von|de la|de|der|del|della|di|da|dos|la|le|bin|bint|ibn|al|el)';
const NAME = `${WORD}(?:(?:[ -]| ${PARTICLE} )${WORD}){0,3}`;
const FULL_NAME = `${WORD}(?:(?:,? |-| ${PARTICLE} )${WORD}){1,3}`;

const TITLED = new RegExp(
  `(?<![\\p{L}\\p{N}])(?:(?:Mr|Mrs|Ms|Mx|Dr|Prof|Rev)\\.?|Miss|Professor|Doctor|Nurse|Sir|Dame) (?:Dr\\.? )?` +
    `(?<value>(?:${PARTICLE} )?${NAME})`,
  'dgu',
);
const TITLE = /Mr|Ms|Mx|Dr|Prof|Rev|Miss|Doctor|Nurse|Sir|Dame/;
/** Labels after which one word is enough; names of drugs, files and the like are others'. */
const LABELLED = new RegExp(
  '(?<![\\p{L}\\p{N}])(?<!(?:[Dd]rug|[Bb]rand|[Gg]eneric|[Ff]ile|[Pp]roduct|[Tt]rade|[Cc]ompany|[Uu]ser|[Tt]est|[Cc]ommon|[Ss]cientific|[Gg]ene|[Hh]ospital|[Dd]isease|[Cc]olumn|[Ff]ield) )' +
    "(?:(?:[Pp]atient|[Cc]lient|[Cc]ustomer|[Ff]ull|[Ff]irst|[Ll]ast|[Mm]iddle|[Mm]aiden|[Ff]amily|[Gg]iven)?(?:['’]s)? ?[Nn]ame|NAME|[Ss]urname|[Nn]ext of [Kk]in|[Ss]igned(?: by)?|[Rr]eferred by|[Rr]eferring (?:physician|doctor)|[Aa]ttending(?: physician)?|[Ss]urgeon|[Ee]mergency [Cc]ontact|[Aa]ccount [Hh]older|[Bb]eneficiary)" +
    `[ \\t]*[:=][ \\t]*(?<value>(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\\.? )?${WORD}(?:(?:,? |-| ${PARTICLE} )${WORD}){0,3})`,
  'dgu',
);
/** Transcripts begin a turn like this too: one word is not enough. */
const SPEAKER = new RegExp(
  `(?<![\\p{L}\\p{N}])(?:[Pp]atient|PATIENT|[Pp]t|[Dd]octor|[Pp]hysician|[Cc]lient|[Cc]ustomer)[ \\t]*[:=][ \\t]*(?<value>${FULL_NAME})(?![\\p{L}\\p{N}])`,
  'dgu',
);

/** Words that begin with a capital after a label or a title and are no names. */
const OTHERS = new Set(
  (
    'Male Female Man Woman Unknown None No Yes Not Na The This That These Those There What Which Who Why How When Where ' +
    'He She It They We You Is Are Was Were Has Have Had Do Does Did Can Could Should Would Will Please Hello Hi Dear ' +
    'Good Thank Thanks Sorry Okay Ok Well But And Or If In On At For From With My Your His Her Our Their An As By To Of ' +
    'Patient Patients Doctor Doctors Nurse Redacted Anonymous Same Other Adult Child Infant'
  ).split(' '),
);

const SURNAMES =
  '欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|夏侯|[王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝]';
const CHINESE_NAME = `(?:${SURNAMES})[\\p{Script=Han}]{1,2}`;
const CHINESE = [
  `(?:姓名|名字|联系人|家属|监护人|签名|主治医师|主管医师|住院医师|手术者|报告医师|审核医师)\\s*[:：]\\s*(?<value>${CHINESE_NAME})(?=[^\\p{Script=Han}]|$|性别|年龄|先生|女士)`,
  // 患者李明，男: without the sex behind it, an illness may begin with a surname too (高血压).
  `(?:患者|病人|病员|患儿|客户)\\s*[:：]?\\s*(?<value>${CHINESE_NAME})(?=\\s*[，,、（(]?\\s*(?:男|女|性别))`,
  // 向, 和 and the like are surnames that mostly mean "to" and "and": 向医生咨询.
  `(?:(?<!\\p{Script=Han})|(?<=患者|病人|家属|经|由|请))(?![向和时师成于应查])(?<value>(?:${SURNAMES})\\p{Script=Han}{0,2})(?=先生|女士|小姐|医生|大夫|主任|教授|护士)`,
  `(?<value>(?:${SURNAMES})某某?)(?![些种个])`,
].map((pattern) => new RegExp(pattern, 'dgu'));

export const findNames: Detector = function* (text, { label, capitals, han }): Generator<Place> {
  // What every pattern needs is looked for first, which is sooner done.
  if (label && capitals) for (const pattern of [LABELLED, SPEAKER]) yield* placesOf(text, pattern, isName);
  if (capitals && TITLE.test(text)) yield* placesOf(text, TITLED, isName);
  if (han) for (const pattern of CHINESE) yield* placesOf(text, pattern);
};

function isName(found: string): boolean {
  return !found.split(/[^\p{L}'’]+/u).some((word) => OTHERS.has(word));
}
